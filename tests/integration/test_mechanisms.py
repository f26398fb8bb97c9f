"""Each mechanism through client, proxy and node, against somebody else's implementation.

Published answers are in test_published_vectors.py, ML-DSA and ML-KEM in test_post_quantum.py.
"""

import hashlib
import hmac
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from published.rsa import large_keys

from hsm_client import connect
from hsm_client.errors import BadSignature
from hsm_wire import parameters as p
from hsm_wire.mechanisms import CKM_SHA256, CKM_SHA384, CKM_SHA512
from hsm_wire.usages import Usage

pytestmark = pytest.mark.other_loop_in_system

DATA = b"what stands in the file\n" * 1000
LARGE_DATA = bytes(range(256)) * 256
"""Above the 16 KiB up to which data is sent whole: the library sends its digest."""

OAEP = {
    "sha256": p.OaepParameters(CKM_SHA256, p.CKG_MGF1_SHA256),
    "sha384": p.OaepParameters(CKM_SHA384, p.CKG_MGF1_SHA384),
    "sha512": p.OaepParameters(CKM_SHA512, p.CKG_MGF1_SHA512),
}


def openssl(*arguments: str | Path) -> bytes:
    """Run the openssl command line; its failure is the test's."""
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def pkcs8(key: rsa.RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    """Return a private key as IMPORT_KEY takes it."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Write a file into the test's folder."""

    def to_file(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file


def test_gcm_never_uses_a_nonce_twice_and_its_answers_open_again(shared: Cluster) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            key = await hsm.generate_key("aes-256")
            nonces = set()
            for number in range(50):
                sealed = await key.encrypt(DATA, aad=b"%d" % number)
                nonces.add(sealed.iv)
                assert len(sealed.iv) == 12
                assert await key.decrypt(sealed.ciphertext, "aes-gcm", iv=sealed.iv, aad=b"%d" % number) == DATA
            assert len(nonces) == 50

    shared.run(main)


@pytest.mark.parametrize("data", [DATA, LARGE_DATA, b""], ids=["some", "large", "empty"])
@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize(
    ("key_type", "family"),
    [
        ("ec-p256", "ecdsa"),
        ("ec-p384", "ecdsa"),
        ("ec-p521", "ecdsa"),
        ("ec-secp256k1", "ecdsa"),
        ("rsa-2048", "rsa-pkcs1"),
        ("rsa-2048", "rsa-pss"),
    ],
)
def test_openssl_verifies_what_the_cluster_signed(
    shared: Cluster,
    write: Callable[[str, bytes], Path],
    key_type: str,
    family: str,
    hash_name: str,
    data: bytes,
) -> None:
    mechanism = f"{family}-{hash_name}"

    async def main() -> tuple[bytes, bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            label = f"openssl-{key_type}"
            known = await hsm.find_keys(label)
            key = known[0] if known else await hsm.generate_key(key_type, label=label)
            whole = await key.sign(data, mechanism)
            await key.verify(data=data, signature=whole, mechanism=mechanism)
            with pytest.raises(BadSignature):
                await key.verify(data=data + b"x", signature=whole, mechanism=mechanism)
            digest = hashlib.new(hash_name, data).digest()
            hashed = await key.sign(digest, mechanism, prehashed=True)
            await key.verify(data=digest, signature=hashed, mechanism=mechanism, prehashed=True)
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, whole, hashed

    pem, *signatures = shared.run(main)
    public, content = write("public.pem", pem), write("data", data)
    padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"] if family == "rsa-pss" else []
    for signature in signatures:
        path = write("signature", signature)
        said = openssl("dgst", f"-{hash_name}", *padding, "-verify", public, "-signature", path, content)
        assert said == b"Verified OK\n"


@pytest.mark.parametrize("key_type", ["ed25519", "ed448"])
def test_openssl_verifies_an_edwards_signature(
    shared: Cluster, write: Callable[[str, bytes], Path], key_type: str
) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.generate_key(key_type)
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, await key.sign(DATA, "eddsa")

    pem, signature = shared.run(main)
    public, content, path = write("public.pem", pem), write("data", DATA), write("signature", signature)
    openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-sigfile", path, "-in", content)


@pytest.mark.parametrize("salt", ["zero", "digest", "max"])
@pytest.mark.parametrize("mask", ["sha256", "sha384", "sha512"])
def test_openssl_verifies_pss_with_every_mask_and_salt(
    shared: Cluster, write: Callable[[str, bytes], Path], mask: str, salt: str
) -> None:
    bits = {"zero": 2048, "digest": 3072, "max": 2048}[salt]
    salt_bytes = {"zero": 0, "digest": 48, "max": bits // 8 - 48 - 2}[salt]
    masks = {"sha256": p.CKG_MGF1_SHA256, "sha384": p.CKG_MGF1_SHA384, "sha512": p.CKG_MGF1_SHA512}
    parameters = p.PssParameters(CKM_SHA384, masks[mask], salt_bytes)

    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            label = f"openssl-rsa-{bits}"
            known = await hsm.find_keys(label)
            key = known[0] if known else await hsm.generate_key(f"rsa-{bits}", label=label)
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, await key.sign(DATA, "rsa-pss-sha384", parameters=parameters)

    pem, signature = shared.run(main)
    options = ("rsa_padding_mode:pss", f"rsa_pss_saltlen:{salt_bytes}", f"rsa_mgf1_md:{mask}")
    padding = [argument for option in options for argument in ("-sigopt", option)]
    public, content, path = write("public.pem", pem), write("data", DATA), write("signature", signature)
    said = openssl("dgst", "-sha384", *padding, "-verify", public, "-signature", path, content)
    assert said == b"Verified OK\n"


@pytest.mark.parametrize("bits", [6144, 8192])
def test_openssl_verifies_what_the_longest_rsa_keys_signed(
    shared: Cluster, write: Callable[[str, bytes], Path], bits: int
) -> None:
    [material] = {case.material for case in large_keys() if case.key_type == f"rsa-{bits}"}

    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config, timeout_s=60) as hsm:
            key = await hsm.import_key(f"rsa-{bits}", material)
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, await key.sign(DATA, "rsa-pss-sha512")

    pem, signature = shared.run(main)
    padding = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"]
    public, content, path = write("public.pem", pem), write("data", DATA), write("signature", signature)
    said = openssl("dgst", "-sha512", *padding, "-verify", public, "-signature", path, content)
    assert said == b"Verified OK\n"


def test_an_imported_rsa_key_signs_the_same_bytes_as_openssl(
    shared: Cluster, write: Callable[[str, bytes], Path], tmp_path: Path
) -> None:
    private = tmp_path / "private.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
    content = write("data", DATA)
    local = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(local, rsa.RSAPrivateKey)

    async def main(hash_name: str) -> bytes:
        async with connect(shared.client_config) as hsm:
            key = await hsm.import_key("rsa-2048", pkcs8(local))
            return await key.sign(DATA, f"rsa-pkcs1-{hash_name}")

    for hash_name in ("sha256", "sha384", "sha512"):
        expected = openssl("dgst", f"-{hash_name}", "-sign", private, content)
        assert shared.run(lambda name=hash_name: main(name)) == expected


@pytest.mark.parametrize("hash_name", ["sha256", "sha384", "sha512"])
def test_oaep_goes_both_ways_between_openssl_and_the_cluster(
    shared: Cluster, write: Callable[[str, bytes], Path], tmp_path: Path, hash_name: str
) -> None:
    private, public = tmp_path / "private.pem", tmp_path / "public.pem"
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
    openssl("pkey", "-in", private, "-pubout", "-out", public)
    local = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(local, rsa.RSAPrivateKey)
    padding = [
        *("-pkeyopt", "rsa_padding_mode:oaep"),
        *("-pkeyopt", f"rsa_oaep_md:{hash_name}", "-pkeyopt", f"rsa_mgf1_md:{hash_name}"),
    ]
    secret = b"a secret of 33 bytes, not a block"
    content, sealed = write("data", secret), tmp_path / "sealed"
    openssl("pkeyutl", "-encrypt", "-pubin", "-inkey", public, *padding, "-in", content, "-out", sealed)

    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.import_key("rsa-2048", pkcs8(local), usage=Usage.ENCRYPT | Usage.DECRYPT)
            parameters = OAEP[hash_name]
            opened = await key.decrypt(sealed.read_bytes(), "rsa-oaep", parameters=parameters)
            return opened, (await key.encrypt(secret, "rsa-oaep", parameters=parameters)).ciphertext

    opened, by_cluster = shared.run(main)
    assert opened == secret
    path = write("by-cluster", by_cluster)
    assert openssl("pkeyutl", "-decrypt", "-inkey", private, *padding, "-in", path) == secret


def test_random_bytes_are_as_many_as_asked_for_and_never_the_same(shared: Cluster) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            seen = {await hsm.random(32) for _ in range(100)}
            assert len(seen) == 100
            assert len(await hsm.random(65_536)) == 65_536

    shared.run(main)


@pytest.mark.parametrize("curve", ["ec-p256", "ec-p384", "ec-p521", "ec-secp256k1", "x25519"])
def test_openssl_agrees_on_the_same_secret(
    shared: Cluster, write: Callable[[str, bytes], Path], tmp_path: Path, curve: str
) -> None:
    private = tmp_path / "peer.pem"
    name = {"ec-p256": "P-256", "ec-p384": "P-384", "ec-p521": "P-521", "ec-secp256k1": "secp256k1"}.get(curve)
    made = ["EC", "-pkeyopt", f"ec_paramgen_curve:{name}"] if name else ["X25519"]
    openssl("genpkey", "-algorithm", *made, "-out", private)
    peer = openssl("pkey", "-in", private, "-pubout", "-outform", "DER")

    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.generate_key(curve, usage=Usage.DERIVE)
            agreed = await key.ecdh(peer, "hmac-256", salt=b"salt", info=b"info")
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, await agreed.sign(DATA, "hmac-sha256")

    pem, mac = shared.run(main)
    secret = openssl("pkeyutl", "-derive", "-inkey", private, "-peerkey", write("ours.pem", pem))
    derived = hmac.digest(hmac.digest(b"salt", secret, "sha256"), b"info\x01", "sha256")
    assert hmac.digest(derived, DATA, "sha256") == mac
