"""docs/protocol.md is enough to write a client."""

import ast
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key
from second_client import CKM_ECDSA_SHA256, Refused, SecondClient

SOURCE = Path(__file__).with_name("second_client.py")
MAX_LINES = 150


@pytest.fixture
def client(shared: Cluster) -> Iterator[SecondClient]:
    """A connection of the second client."""
    identity = shared.app
    made = SecondClient(
        "127.0.0.1", shared.proxy.port, "test", str(identity.ca), str(identity.certificate), str(identity.key)
    )
    yield made
    made.close()


def test_the_second_client_is_small_and_stands_on_nothing_of_ours() -> None:
    text = SOURCE.read_text()
    assert len(text.splitlines()) < MAX_LINES
    imported: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
    assert imported == {"os", "socket", "ssl", "struct", "sys", "time", "typing", "msgpack"}


def test_the_second_client_makes_a_key_and_its_signatures_verify(client: SecondClient) -> None:
    key_id, der = client.generate_key("ec-p256", "second")
    public = load_der_public_key(der)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    for number in range(20):
        data = f"message {number}".encode()
        signature = client.sign(key_id, CKM_ECDSA_SHA256, data)
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        public.verify(encode_dss_signature(r, s), data, ec.ECDSA(hashes.SHA256()))


def test_the_second_client_sees_a_destroyed_key_refused(client: SecondClient) -> None:
    key_id, _ = client.generate_key("ec-p256")
    client.destroy_key(key_id)
    for _ in range(6):
        with pytest.raises(Refused) as refused:
            client.sign(key_id, CKM_ECDSA_SHA256, b"data")
        assert refused.value.status == 0x0301


def test_the_second_client_talks_to_proxies_of_its_own_cluster_only(shared: Cluster) -> None:
    files = [str(path) for path in (shared.app.ca, shared.app.certificate, shared.app.key)]
    for port, cluster in ((shared.nodes[0].port, "test"), (shared.proxy.port, "other")):
        with pytest.raises(ssl.SSLCertVerificationError, match="no proxy"):
            SecondClient("127.0.0.1", port, cluster, *files)


def test_the_second_client_works_as_a_program(shared: Cluster) -> None:
    identity = shared.app
    files = [str(identity.ca), str(identity.certificate), str(identity.key)]
    done = subprocess.run(
        [sys.executable, str(SOURCE), "127.0.0.1", str(shared.proxy.port), "test", *files],
        input=b"a real file",
        capture_output=True,
        timeout=20,
        check=True,
    )
    signature, der = (bytes.fromhex(part) for part in done.stdout.decode().split())
    public = load_der_public_key(der)
    assert isinstance(public, Ed25519PublicKey)
    public.verify(signature, b"a real file")
