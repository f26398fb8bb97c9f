"""ML-DSA and ML-KEM of a cluster: what it makes with chance in it, looked at outside.

OpenSSL 3.0 has neither, so `cryptography` verifies, by the message representative that FIPS 204 names, and has to pass
ACVP's vectors of verification first.
"""

import hashlib
import hmac

import pytest
from cluster import Cluster
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey, MLDSA65PublicKey, MLDSA87PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from published.forms import kept, seed_material, unhex

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system

DATA = b"what is signed\n" * 100
ML_DSA = {"ml-dsa-44": MLDSA44PublicKey, "ml-dsa-65": MLDSA65PublicKey, "ml-dsa-87": MLDSA87PublicKey}
MlDsaPublicKey = MLDSA44PublicKey | MLDSA65PublicKey | MLDSA87PublicKey


def _mu(public: MlDsaPublicKey, message: bytes) -> bytes:
    """Return what an ML-DSA signature signs (FIPS 204, algorithm 7, line 6) of a message with its prefix."""
    return hashlib.shake_256(hashlib.shake_256(public.public_bytes_raw()).digest(64) + message).digest(64)


def _is_signed(public: MlDsaPublicKey, message: bytes, signature: bytes) -> bool:
    try:
        public.verify_mu(signature, _mu(public, message))
    except InvalidSignature:
        return False
    return True


def test_whoever_verifies_the_clusters_ml_dsa_signatures_here_agrees_with_acvp() -> None:
    rows = kept("acvp.json")["sigVer"]
    assert {(row["set"], row["passed"]) for row in rows} == {(name, is_) for name in ML_DSA for is_ in (True, False)}
    for row in rows:
        public = ML_DSA[row["set"]].from_public_bytes(unhex(row, "public"))
        assert _is_signed(public, unhex(row, "message"), unhex(row, "signature")) is row["passed"], row["tcId"]


@pytest.mark.parametrize("context", [b"", b"context", bytes(255)], ids=["none", "short", "longest"])
@pytest.mark.parametrize("key_type", ML_DSA)
def test_ml_dsa_signatures_are_hedged_and_what_fips_204_says(shared: Cluster, key_type: str, context: bytes) -> None:
    async def main() -> tuple[MlDsaPublicKey, set[bytes]]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.generate_key(key_type)
            public = await key.public_key()
            assert isinstance(public, MlDsaPublicKey)
            return public, {await key.sign(DATA, "ml-dsa", context=context) for _ in range(3)}

    public, signatures = shared.run(main)
    assert len(signatures) == 3
    for signature in signatures:
        assert _is_signed(public, bytes([0, len(context)]) + context + DATA, signature)
        assert not _is_signed(public, bytes([0, len(context)]) + context + DATA[1:], signature)


@pytest.mark.parametrize("key_type", ["ml-kem-768", "ml-kem-1024"])
def test_what_the_cluster_encapsulates_is_what_the_private_key_gives_outside(shared: Cluster, key_type: str) -> None:
    seed = bytes(range(64))

    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.import_key(key_type, seed_material(key_type, seed))
            sent = await key.encapsulate("hmac-256")
            return sent.ciphertext, await sent.key.sign(DATA, "hmac-sha256")

    ciphertext, mac = shared.run(main)
    private = load_der_private_key(seed_material(key_type, seed), None)
    assert isinstance(private, MLKEM768PrivateKey | MLKEM1024PrivateKey)
    assert hmac.digest(private.decapsulate(ciphertext), DATA, "sha256") == mac
