"""Software and tokens in one cluster: what `make test` tries on software nodes, and keys that go over from one to the
other; and what a cluster of tokens alone refuses."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from softhsm import SoftHsm
from test_mechanisms import (  # noqa: F401 - tests and a fixture, run here on the cluster of this file
    test_an_imported_rsa_key_signs_the_same_bytes_as_openssl,
    test_gcm_never_uses_a_nonce_twice_and_its_answers_open_again,
    test_openssl_verifies_pss_with_every_mask_and_salt,
    test_openssl_verifies_what_the_cluster_signed,
    test_random_bytes_are_as_many_as_asked_for_and_never_the_same,
    write,
)

from hsm_client import sync
from hsm_client.errors import HsmError
from hsm_client.sync_keys import Key
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

SIGNING = {"rsa-2048": "rsa-pkcs1-sha256", "rsa-3072": "rsa-pkcs1-sha384", "ec-p256": "ecdsa-sha256"}
SIGNING |= {"ec-p384": "ecdsa-sha384", "ec-p521": "ecdsa-sha512", "ec-secp256k1": "ecdsa-sha256"}
DATA = b"made by one kind of node, signed by the other"


@pytest.fixture(scope="module")
def event_loop_name() -> str:
    """That of clients; nodes and proxies are no subject here."""
    return "uvloop"


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cluster]]:
    """Make clusters of which those nodes have tokens (by number); they are started."""
    made: list[Cluster] = []
    tokens = SoftHsm(tmp_path_factory.mktemp("softhsm"))

    def cluster(nodes: int, *in_tokens: int) -> Cluster:
        made.append(Cluster(tmp_path_factory.mktemp("cluster"), "uvloop", nodes))
        for number in in_tokens:
            made[-1].write_node(made[-1].nodes[number], **tokens.settings_for(made[-1], made[-1].nodes[number]))
        made[-1].start()
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(tokens.configuration))
        yield cluster
    for each in made:
        each.stop()


@pytest.fixture(scope="module")
def shared(make: Callable[..., Cluster]) -> Cluster:
    """A node in software and two with tokens."""
    return make(3, 1, 2)


def openssl_verifies(folder: Path, key: Key, signature: bytes) -> bool:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content in (("public.pem", public), ("data", DATA), ("signature", signature)):
        (folder / name).write_bytes(content)
    digest = SIGNING[key.type].rpartition("-")[2]
    command = ["openssl", "dgst", f"-{digest}", "-verify", "public.pem", "-signature", "signature", "data"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout == "Verified OK\n"


def serve_alone(cluster: Cluster, number: int) -> None:
    """Have one node serve, and the others stand still."""
    for node in cluster.nodes:
        node.terminate()
    cluster.nodes[number].start()
    cluster.nodes[number].wait_ready()


@pytest.mark.parametrize(("maker", "signer"), [(0, 1), (1, 0)], ids=["software-softhsm", "softhsm-software"])
def test_what_one_kind_has_made_the_other_signs_with_and_openssl_verifies(
    make: Callable[..., Cluster], tmp_path: Path, maker: int, signer: int
) -> None:
    cluster = make(2, 1)
    with sync.connect(cluster.client_config, timeout_s=60.0) as hsm:
        serve_alone(cluster, maker)
        made = {key_type: hsm.generate_key(key_type) for key_type in SIGNING}
        before = {key_type: key.sign(DATA, SIGNING[key_type]) for key_type, key in made.items()}
        serve_alone(cluster, signer)
        for key_type, key in made.items():
            assert openssl_verifies(tmp_path, key, key.sign(DATA, SIGNING[key_type])), key_type
            key.verify(DATA, before[key_type], SIGNING[key_type])


def test_what_no_token_can_is_refused_by_name_and_nothing_was_done(make: Callable[..., Cluster]) -> None:
    cluster = make(1, 0)
    with sync.connect(cluster.client_config) as hsm:
        agreeing = hsm.generate_key("ec-p256", usage=Usage.DERIVE)
        wrapping = hsm.generate_key("aes-256", usage=Usage.WRAP | Usage.UNWRAP)
        target = hsm.generate_key("aes-256", label="target")
        peer = hsm.generate_key("ec-p256").public_key()
        asked: dict[str, Callable[[], object]] = {
            "ECDH": lambda: agreeing.ecdh(peer, "hmac-256"),
            "WRAP_KEY": lambda: wrapping.wrap(target),
            "UNWRAP_KEY": lambda: hsm.unwrap_key(bytes(40), wrapping, "aes-kwp", "aes-256"),
            "an Edwards key": lambda: hsm.generate_key("ed25519"),
            "a key of ML-DSA": lambda: hsm.generate_key("ml-dsa-65"),
            "a secret of 20 bytes": lambda: hsm.import_key("hmac-256", bytes(20)),
        }
        keys = len(hsm.find_keys())
        for what, ask in asked.items():
            with pytest.raises(HsmError) as raised:
                ask()
            assert raised.value.status == Status.MECHANISM_NOT_HERE, f"{what}: {raised.value}"
        assert len(hsm.find_keys()) == keys
