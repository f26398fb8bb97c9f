"""Each mechanism through client, proxy and node, against somebody else's implementation."""

import hashlib
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

from hsm_client import connect
from hsm_client.errors import BadData, BadSignature
from hsm_wire import parameters as p
from hsm_wire.mechanisms import CKM_SHA256, CKM_SHA384, CKM_SHA512
from hsm_wire.usages import Usage

DATA = b"what stands in the file\n" * 1000
LARGE_DATA = bytes(range(256)) * 256
"""Above the 16 KiB up to which data is sent whole: the library sends its digest."""

OAEP = {
    "sha256": p.OaepParameters(CKM_SHA256, p.CKG_MGF1_SHA256),
    "sha384": p.OaepParameters(CKM_SHA384, p.CKG_MGF1_SHA384),
    "sha512": p.OaepParameters(CKM_SHA512, p.CKG_MGF1_SHA512),
}

# RFC 8032, section 7.1, tests 1 to 3: secret key, public key, message, signature.
ED25519_VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
            "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]

# RFC 4231, cases 1, 2, 3 and 6: key, data, HMAC-SHA-256, -384, -512.
HMAC_VECTORS = [
    (
        b"\x0b" * 20,
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
        (
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
            "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"
        ),
    ),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        (
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
            "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        ),
    ),
    (
        b"\xaa" * 20,
        b"\xdd" * 50,
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
        (
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
            "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"
        ),
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
        (
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
            "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
        ),
    ),
]

# McGrew and Viega, "The Galois/Counter Mode of Operation", cases 2, 4, 10 and 16 (also in NIST's set):
# key, nonce, plaintext, additional data, ciphertext, tag.
_PLAIN = (
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
    "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
)
_AAD = "feedfacedeadbeeffeedfacedeadbeefabaddad2"
_NONCE = "cafebabefacedbaddecaf888"
_KEY = "feffe9928665731c6d6a8f9467308308"
GCM_VECTORS = [
    ("00" * 16, "00" * 12, "00" * 16, "", "0388dace60b6a392f328c2b971b2fe78", "ab6e47d42cec13bdf53a67b21257bddf"),
    (
        _KEY,
        _NONCE,
        _PLAIN,
        _AAD,
        (
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
            "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
        ),
        "5bc94fbc3221a5db94fae95ae7121a47",
    ),
    (
        _KEY + _KEY[:16],
        _NONCE,
        _PLAIN,
        _AAD,
        (
            "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
            "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710"
        ),
        "2519498e80f1478f37ba55bd6d27618c",
    ),
    (
        _KEY + _KEY,
        _NONCE,
        _PLAIN,
        _AAD,
        (
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
            "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
        ),
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ),
]


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


@pytest.mark.parametrize(("secret", "public", "message", "signature"), ED25519_VECTORS)
def test_ed25519_signs_as_rfc_8032_says(
    shared: Cluster, secret: str, public: str, message: str, signature: str
) -> None:
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            material = pkcs8(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret)))
            key = await hsm.import_key("ed25519", material)
            assert (await key.sign(bytes.fromhex(message), "eddsa")).hex() == signature
            await key.verify(data=bytes.fromhex(message), signature=bytes.fromhex(signature), mechanism="eddsa")
            raw = (await key.public_key()).public_bytes(Encoding.Raw, PublicFormat.Raw)
            assert raw.hex() == public

    shared.run(main)


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_hmac_answers_as_rfc_4231_says(shared: Cluster, bits: int) -> None:
    # A key shorter than the hash's block is padded with zeros, a longer one is hashed (RFC 2104): so each vector
    # has an equal key of exactly the size of the key type.
    async def main() -> None:
        async with connect(shared.client_config) as hsm:
            for vector in HMAC_VECTORS:
                material, data = vector[:2]
                expected = bytes.fromhex(vector[{256: 2, 384: 3, 512: 4}[bits]])
                if len(material) > bits // 8:
                    material = hashlib.new(f"sha{bits}", material).digest()
                key = await hsm.import_key(f"hmac-{bits}", material.ljust(bits // 8, b"\0"))
                assert await key.sign(data, f"hmac-sha{bits}") == expected
                await key.verify(data=data, signature=expected, mechanism=f"hmac-sha{bits}")
                with pytest.raises(BadSignature):
                    await key.verify(data=data, signature=expected[:-1] + b"?", mechanism=f"hmac-sha{bits}")

    shared.run(main)


@pytest.mark.parametrize(("secret", "nonce", "plain", "aad", "ciphertext", "tag"), GCM_VECTORS)
def test_gcm_decrypts_the_published_vectors(
    shared: Cluster, secret: str, nonce: str, plain: str, aad: str, ciphertext: str, tag: str
) -> None:
    async def main() -> None:
        material = bytes.fromhex(secret)
        sealed = bytes.fromhex(ciphertext + tag)
        async with connect(shared.client_config) as hsm:
            key = await hsm.import_key(f"aes-{len(material) * 8}", material)
            opened = await key.decrypt(sealed, "aes-gcm", iv=bytes.fromhex(nonce), aad=bytes.fromhex(aad))
            assert opened.hex() == plain
            with pytest.raises(BadData):
                await key.decrypt(
                    sealed[:-1] + bytes([sealed[-1] ^ 1]), "aes-gcm", iv=bytes.fromhex(nonce), aad=bytes.fromhex(aad)
                )

    shared.run(main)


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


def test_openssl_verifies_an_ed25519_signature(shared: Cluster, write: Callable[[str, bytes], Path]) -> None:
    async def main() -> tuple[bytes, bytes]:
        async with connect(shared.client_config) as hsm:
            key = await hsm.generate_key("ed25519")
            pem = (await key.public_key()).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            return pem, await key.sign(DATA, "eddsa")

    pem, signature = shared.run(main)
    public, content, path = write("public.pem", pem), write("data", DATA), write("signature", signature)
    openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", public, "-sigfile", path, "-in", content)


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
