"""A cluster in which one node's keys live in a device: what any node makes, every node uses, and openssl agrees."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from softhsm import SoftHsm

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system


@pytest.fixture
def mixed(make_cluster: Callable[..., Cluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Two nodes in software and one with a token that has the same master key."""
    cluster = make_cluster(started=False)
    tokens = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tokens.configuration))
    cluster.write_node(cluster.nodes[2], **tokens.settings_for(cluster, cluster.nodes[2]))
    cluster.start()
    return cluster


def openssl_verifies(folder: Path, public: bytes, data: bytes, signature: bytes) -> bool:
    for name, content in (("public.pem", public), ("data", data), ("signature", signature)):
        (folder / name).write_bytes(content)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return "Verified OK" in done.stdout


def test_a_key_signs_on_every_node_whichever_made_it_and_openssl_verifies(mixed: Cluster, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    async def main() -> None:
        async with connect(mixed.client_config) as hsm:
            for number in range(4):
                key_type = "ec-p256" if number % 2 else "rsa-2048"
                mechanism = "ecdsa-sha256" if number % 2 else "rsa-pkcs1-sha256"
                key = await hsm.generate_key(key_type, label=f"{number}")
                public = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
                for turn in range(6):
                    data = f"{number} {turn}".encode()
                    signature = await key.sign(data, mechanism)
                    assert openssl_verifies(tmp_path, public, data, signature)

    mixed.run(main)
    assert min(mixed.node_requests().values()) > 0
