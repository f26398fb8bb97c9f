import hashlib

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hsm_node.backends.rsa import OFFERED, RsaKey, check_imported
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import CKG_MGF1_SHA1, CKG_MGF1_SHA256, OaepParameters, PssParameters
from hsm_wire.statuses import Status

DATA = b"what is signed"
DIGEST = hashlib.sha256(DATA).digest()
INFO = bytes.fromhex("3031300d060960864801650304020105000420") + DIGEST
PSS = PssParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, 20)
OAEP = OaepParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, b"label")


@pytest.fixture(scope="module")
def private() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def test_pkcs1_of_data_and_of_its_digest_are_the_same_signature(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    whole = key.sign(ckm.CKM_SHA256_RSA_PKCS, None, DATA)
    assert whole == key.sign(ckm.CKM_RSA_PKCS, None, INFO)
    private.public_key().verify(whole, DATA, padding.PKCS1v15(), hashes.SHA256())
    key.verify(ckm.CKM_RSA_PKCS, None, INFO, whole)


@pytest.mark.parametrize("info", [b"", DIGEST, INFO[:-1], INFO + b"x", b"\x30" * 51])
def test_raw_pkcs1_takes_nothing_but_a_known_digest_info(private: rsa.RSAPrivateKey, info: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        RsaKey(private).sign(ckm.CKM_RSA_PKCS, None, info)
    assert refused.value.status is Status.BAD_DATA


def test_pss_verifies_elsewhere_with_and_without_parameters(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    for parameters, salt in ((None, 32), (PSS, 20)):
        signature = key.sign(ckm.CKM_SHA256_RSA_PKCS_PSS, parameters, DATA)
        scheme = padding.PSS(padding.MGF1(hashes.SHA256()), salt)
        private.public_key().verify(signature, DATA, scheme, hashes.SHA256())
    key.verify(ckm.CKM_SHA256_RSA_PKCS_PSS, PSS, DATA, key.sign(ckm.CKM_RSA_PKCS_PSS, PSS, DIGEST))


@pytest.mark.parametrize(
    ("mechanism", "parameters", "data", "status"),
    [
        (ckm.CKM_RSA_PKCS_PSS, PSS, DATA, Status.BAD_DATA),
        (ckm.CKM_RSA_PKCS_PSS, PssParameters(ckm.CKM_SHA_1, CKG_MGF1_SHA256, 20), DIGEST, Status.BAD_REQUEST),
        (ckm.CKM_RSA_PKCS_PSS, PssParameters(ckm.CKM_SHA256, CKG_MGF1_SHA1, 20), DIGEST, Status.BAD_REQUEST),
        (ckm.CKM_SHA384_RSA_PKCS_PSS, PSS, DATA, Status.BAD_REQUEST),
        (ckm.CKM_SHA256_RSA_PKCS_PSS, PssParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, 223), DATA, Status.BAD_REQUEST),
        (ckm.CKM_SHA256_RSA_PKCS_PSS, PssParameters(ckm.CKM_SHA256, CKG_MGF1_SHA256, -1), DATA, Status.BAD_REQUEST),
    ],
)
def test_pss_refuses_parameters_that_do_not_fit(
    private: rsa.RSAPrivateKey, mechanism: int, parameters: PssParameters, data: bytes, status: Status
) -> None:
    with pytest.raises(Refusal) as refused:
        RsaKey(private).sign(mechanism, parameters, data)
    assert refused.value.status is status


def test_a_wrong_signature_is_refused(private: rsa.RSAPrivateKey) -> None:
    for signature in (b"", b"\x00" * 256, b"\xff" * 256):
        with pytest.raises(Refusal) as refused:
            RsaKey(private).verify(ckm.CKM_SHA256_RSA_PKCS, None, DATA, signature)
        assert refused.value.status is Status.BAD_SIGNATURE


def test_oaep_round_trips_and_knows_its_longest_data(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    ciphertext, nonce = key.encrypt(ckm.CKM_RSA_PKCS_OAEP, OAEP, b"x" * 190, caller_iv=False)
    assert (key.decrypt(ckm.CKM_RSA_PKCS_OAEP, OAEP, ciphertext), nonce) == (b"x" * 190, b"")
    with pytest.raises(Refusal, match="at most 190"):
        key.encrypt(ckm.CKM_RSA_PKCS_OAEP, OAEP, b"x" * 191, caller_iv=False)
    for bad in (b"", ciphertext[:-1], bytes(256), b"\xff" * 256):
        with pytest.raises(Refusal) as refused:
            key.decrypt(ckm.CKM_RSA_PKCS_OAEP, OAEP, bad)
        assert refused.value.status is Status.BAD_DATA


def test_weak_keys_are_not_imported(private: rsa.RSAPrivateKey) -> None:
    check_imported(private, 2048)
    for weak, bits in (
        (rsa.generate_private_key(65537, 1024), 1024),
        (private, 3072),
        (rsa.generate_private_key(3, 2048), 2048),
    ):
        with pytest.raises(Refusal):
            check_imported(weak, bits)


def test_sha_1_signs_by_its_mechanism_only(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    signature = key.sign(ckm.CKM_SHA1_RSA_PKCS, None, DATA)
    private.public_key().verify(signature, DATA, padding.PKCS1v15(), hashes.SHA1())
    key.verify(ckm.CKM_SHA1_RSA_PKCS, None, DATA, signature)
    for prefix, name in (("3021300906052b0e03021a05000414", "sha1"), ("3020300c06082a864886f70d020505000410", "md5")):
        info = bytes.fromhex(prefix) + hashlib.new(name, DATA).digest()
        with pytest.raises(Refusal, match="not a DigestInfo of") as refused:
            key.sign(ckm.CKM_RSA_PKCS, None, info)
        assert refused.value.status is Status.BAD_DATA


OIDS = {
    "md5": "2a864886f70d0205", "sha1": "2b0e03021a", "sha224": "608648016503040204",
    "sha512-256": "608648016503040206", "sha3-256": "608648016503040208", "sha256": "608648016503040201",
}  # fmt: skip


def der(tag: int, *parts: bytes) -> bytes:
    """Return one DER element of less than 128 bytes."""
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def digest_info(name: str, digest: bytes, parameters: bytes = b"\x05\x00") -> bytes:
    """Return the DER of a DigestInfo; `parameters` are NULL where they are right."""
    return der(0x30, der(0x30, der(0x06, bytes.fromhex(OIDS[name])), parameters), der(0x04, digest))


ALGORITHM = der(0x30, der(0x06, bytes.fromhex(OIDS["sha256"])), b"\x05\x00")
WRONG_INFOS = {
    **{name: digest_info(name, bytes(16 if name == "md5" else 20 if name == "sha1" else 28 if name == "sha224" else 32))
       for name in OIDS if name != "sha256"},
    "no NULL": digest_info("sha256", DIGEST, b""),
    "other parameters": digest_info("sha256", DIGEST, der(0x04, b"")),
    "trailing byte": INFO + b"\x00",
    "trailing byte within": der(0x30, INFO[2:], b"\x00"),
    "two digests": der(0x30, INFO[2:], der(0x04, DIGEST)),
    "digest too short": digest_info("sha256", DIGEST[:-1]),
    "digest too long": digest_info("sha256", DIGEST + b"\x00"),
    "digest of another hash": digest_info("sha256", hashlib.sha512(DATA).digest()),
    "long length outside": b"\x30\x81\x31" + INFO[2:],
    "long length of the digest": der(0x30, ALGORITHM, b"\x04\x81\x20" + DIGEST),
    "long length of NULL": der(0x30, der(0x30, ALGORITHM[2:-2], b"\x05\x81\x00"), der(0x04, DIGEST)),
    "indefinite length": b"\x30\x80" + INFO[2:] + b"\x00\x00",
    "constructed octet string": der(0x30, ALGORITHM, der(0x24, der(0x04, DIGEST[:16]), der(0x04, DIGEST[16:]))),
    "set for sequence": b"\x31" + INFO[1:],
    "empty": b"",
    "the digest alone": DIGEST,
}  # fmt: skip


@pytest.mark.parametrize("info", WRONG_INFOS.values(), ids=WRONG_INFOS)
def test_a_digest_info_is_of_a_known_hash_and_in_der_or_it_is_refused_alike(
    private: rsa.RSAPrivateKey, info: bytes
) -> None:
    assert digest_info("sha256", DIGEST) == INFO, "the builder builds the right one"
    key = RsaKey(private)
    for use in (
        lambda: key.sign(ckm.CKM_RSA_PKCS, None, info),
        lambda: key.verify(ckm.CKM_RSA_PKCS, None, info, bytes(256)),
    ):
        with pytest.raises(Refusal) as refused:
            use()
        assert refused.value.status is Status.BAD_DATA
        assert refused.value.detail == "the data is not a DigestInfo of SHA-256, SHA-384 or SHA-512"


def test_pkcs1_encryption_round_trips_and_knows_its_longest_data(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    for data in (b"", b"x", b"x" * 245):
        ciphertext, nonce = key.encrypt(ckm.CKM_RSA_PKCS, None, data, caller_iv=False)
        assert (key.decrypt(ckm.CKM_RSA_PKCS, None, ciphertext), nonce) == (data, b"")
    with pytest.raises(Refusal, match="at most 245") as refused:
        key.encrypt(ckm.CKM_RSA_PKCS, None, b"x" * 246, caller_iv=False)
    assert refused.value.status is Status.BAD_DATA


def test_wrong_padding_of_pkcs1_gives_the_same_wrong_plaintext_each_time(private: rsa.RSAPrivateKey) -> None:
    raw = pow(int.from_bytes(b"\x00\x01" + b"\x5a" * 254, "big"), 65537, private.public_key().public_numbers().n)
    for ciphertext in (bytes(256), raw.to_bytes(256, "big")):
        wrong = RsaKey(private).decrypt(ckm.CKM_RSA_PKCS, None, ciphertext)
        assert RsaKey(private).decrypt(ckm.CKM_RSA_PKCS, None, ciphertext) == wrong


@pytest.mark.parametrize("ciphertext", [b"", bytes(255), bytes(257), b"\xff" * 256])
def test_what_cannot_be_a_pkcs1_ciphertext_is_refused(private: rsa.RSAPrivateKey, ciphertext: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        RsaKey(private).decrypt(ckm.CKM_RSA_PKCS, None, ciphertext)
    assert refused.value.status is Status.BAD_DATA


def test_oaep_wraps_what_fits(private: rsa.RSAPrivateKey) -> None:
    key = RsaKey(private)
    wrapped = key.wrap(ckm.CKM_RSA_PKCS_OAEP, OAEP, bytes(range(32)))
    assert key.unwrap(ckm.CKM_RSA_PKCS_OAEP, OAEP, wrapped) == bytes(range(32))
    with pytest.raises(Refusal) as refused:
        key.wrap(ckm.CKM_RSA_PKCS_OAEP, OAEP, bytes(191))
    assert refused.value.status is Status.BAD_DATA


def test_the_raw_operation_is_not_offered() -> None:
    assert ckm.CKM_RSA_X_509 not in OFFERED
