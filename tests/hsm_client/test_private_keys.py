"""Key objects in the hands of others: x509 builders, PyJWT, plain `cryptography` code."""

import copy
import pickle
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import NameOID

from hsm_client import sync
from hsm_client.errors import KeyType

TYPES = [("rsa-2048", "RS256"), ("ec-p256", "ES256"), ("ed25519", "EdDSA"), ("ed448", "EdDSA")]
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])


@pytest.fixture
def hsm(fake_cluster, configured):
    with sync.connect(configured(fake_cluster.proxy)) as connected:
        yield connected


def _private(hsm, key_type):
    return hsm.private_key(hsm.generate_key(key_type).id)


@pytest.mark.parametrize(("key_type", "_"), TYPES)
def test_x509_builders_sign_certificates_and_requests(hsm, key_type, _):
    private = _private(hsm, key_type)
    algorithm = None if key_type.startswith("ed") else hashes.SHA256()
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .sign(private, algorithm)
    )
    certificate.verify_directly_issued_by(certificate)
    request = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(private, algorithm)
    assert request.is_signature_valid


@pytest.mark.parametrize(("key_type", "algorithm"), [*TYPES, ("rsa-2048", "PS256")])
def test_pyjwt_signs_tokens(hsm, key_type, algorithm):
    private = _private(hsm, key_type)
    token = jwt.encode({"sub": "me"}, private, algorithm=algorithm)
    assert jwt.decode(token, private.public_key(), algorithms=[algorithm]) == {"sub": "me"}


@pytest.mark.parametrize("salt", [padding.PSS.MAX_LENGTH, padding.PSS.DIGEST_LENGTH, 7])
def test_pss_honours_the_salt_length(hsm, salt):
    private = _private(hsm, "rsa-2048")
    scheme = padding.PSS(padding.MGF1(hashes.SHA384()), salt)
    private.public_key().verify(private.sign(b"x", scheme, hashes.SHA384()), b"x", scheme, hashes.SHA384())
    with pytest.raises(ValueError, match="AUTO"):
        private.sign(b"x", padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), hashes.SHA256())


def test_ecdsa_honours_the_hash_and_prehashed(hsm):
    private = _private(hsm, "ec-p384")
    signature = private.sign(b"x", ec.ECDSA(hashes.SHA512()))
    private.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA512()))
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"x")
    signature = private.sign(digest.finalize(), ec.ECDSA(Prehashed(hashes.SHA256())))
    private.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA256()))


def test_rsa_decrypts_oaep(hsm):
    private = _private(hsm, "rsa-2048")
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA384(), b"label")
    assert isinstance(private, rsa.RSAPrivateKey)
    assert private.decrypt(private.public_key().encrypt(b"secret", scheme), scheme) == b"secret"


def test_rsa_decrypts_pkcs1_and_refuses_other_paddings(hsm):
    private = _private(hsm, "rsa-2048")
    assert isinstance(private, rsa.RSAPrivateKey)
    secret = private.public_key().encrypt(b"secret", padding.PKCS1v15())
    assert private.decrypt(secret, padding.PKCS1v15()) == b"secret"
    with pytest.raises(UnsupportedAlgorithm, match="OAEP or PKCS1v15"):
        private.decrypt(secret, padding.PSS(padding.MGF1(hashes.SHA256()), 32))


def test_ecdsa_on_secp256k1_verifies(hsm):
    private = _private(hsm, "ec-secp256k1")
    assert isinstance(private.curve, ec.SECP256K1)
    private.public_key().verify(private.sign(b"x", ec.ECDSA(hashes.SHA256())), b"x", ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    ("key_type", "form"), [("ed25519", ed25519.Ed25519PrivateKey), ("ed448", ed448.Ed448PrivateKey)]
)
def test_edwards_keys_sign_whole_data(hsm, key_type, form):
    private = _private(hsm, key_type)
    assert isinstance(private, form)
    private.public_key().verify(private.sign(bytearray(b"x")), b"x")


def test_no_shared_secret_leaves_the_cluster_and_the_error_says_what_to_call(hsm):
    curve, montgomery = _private(hsm, "ec-p256"), _private(hsm, "x25519")
    assert isinstance(montgomery, x25519.X25519PrivateKey)
    for private, arguments in ((curve, (ec.ECDH(), curve.public_key())), (montgomery, (montgomery.public_key(),))):
        with pytest.raises(UnsupportedAlgorithm, match=r"ecdh\(peer\)"):
            private.exchange(*arguments)


def test_a_type_without_a_key_object_is_refused(hsm):
    for key_type in ("ml-dsa-44", "aes-256"):
        with pytest.raises(KeyType):
            _private(hsm, key_type)


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "ed25519", "ed448", "x25519"])
def test_the_secret_part_cannot_be_had_and_a_copy_is_the_same_key(hsm, key_type):
    private = _private(hsm, key_type)
    assert private._key.id in repr(private)
    with pytest.raises(UnsupportedAlgorithm, match="does not leave the cluster"):
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    with pytest.raises(UnsupportedAlgorithm, match="does not leave the cluster"):
        private.private_bytes_raw()
    assert copy.copy(private) is private is copy.deepcopy(private)
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(private)
