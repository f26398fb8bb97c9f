"""What the fake cluster's keys do, with real crypto: one function a use, on `cryptography` keys or a secret's bytes."""

import secrets
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import cmac, hashes, hmac, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import (
    ec,
    ed448,
    ed25519,
    mldsa,
    mlkem,
    padding,
    rsa,
    x25519,
)
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.padding import PKCS7

from hsm_wire import mechanisms as mech
from hsm_wire import messages as m
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.statuses import Status

HASHES: dict[int, Callable[[], hashes.HashAlgorithm]] = {
    mech.CKM_SHA_1: hashes.SHA1,
    mech.CKM_SHA256: hashes.SHA256,
    mech.CKM_SHA384: hashes.SHA384,
    mech.CKM_SHA512: hashes.SHA512,
}
BY_LENGTH = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
MGFS = {p.CKG_MGF1_SHA256: hashes.SHA256, p.CKG_MGF1_SHA384: hashes.SHA384, p.CKG_MGF1_SHA512: hashes.SHA512}
CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "ec-p256": ec.SECP256R1,
    "ec-p384": ec.SECP384R1,
    "ec-p521": ec.SECP521R1,
    "ec-secp256k1": ec.SECP256K1,
}
OTHERS: dict[str, Any] = {
    "ed25519": ed25519.Ed25519PrivateKey,
    "ed448": ed448.Ed448PrivateKey,
    "x25519": x25519.X25519PrivateKey,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey,
    "ml-kem-768": mlkem.MLKEM768PrivateKey,
    "ml-kem-1024": mlkem.MLKEM1024PrivateKey,
}
IV_BYTES = 16


class FailedError(Exception):
    """An answer that is not OK."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


def generate(key_type: str) -> Any:
    """Return a new private key, or a secret's bytes."""
    if key_type.startswith("rsa"):
        return rsa.generate_private_key(65537, KEY_TYPES[key_type].size)
    if key_type in CURVES:
        return ec.generate_private_key(CURVES[key_type]())
    if key_type in OTHERS:
        return OTHERS[key_type].generate()
    return secrets.token_bytes(KEY_TYPES[key_type].size // 8)


def material_of(secret: Any) -> bytes:
    """Return what IMPORT_KEY takes and WRAP_KEY wraps."""
    if isinstance(secret, bytes):
        return secret
    form = serialization.PrivateFormat.PKCS8
    return secret.private_bytes(serialization.Encoding.DER, form, serialization.NoEncryption())


def load(key_type: str, material: bytes) -> Any:
    """Return the key of that material."""
    if not KEY_TYPES[key_type].symmetric:
        try:
            return serialization.load_der_private_key(material, None)
        except ValueError:
            raise FailedError(Status.BAD_DATA) from None
    if len(material) * 8 != KEY_TYPES[key_type].size:
        raise FailedError(Status.BAD_DATA)
    return bytes(material)


def public_of(secret: Any) -> bytes:
    """Return SubjectPublicKeyInfo in DER, nothing for a secret key."""
    if isinstance(secret, bytes):
        return b""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return secret.public_key().public_bytes(serialization.Encoding.DER, form)


# ---- signatures and MACs --------------------------------------------------------------------------------------


def sign(secret: Any, body: m.Sign) -> bytes:
    """Return a signature or MAC in PKCS#11's form."""
    if isinstance(secret, bytes):
        return _mac(secret, body).finalize()
    if isinstance(secret, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey):
        _no_context(body)
        return secret.sign(body.data)
    if isinstance(secret, ec.EllipticCurvePrivateKey):
        size = (secret.key_size + 7) // 8
        r, s = decode_dss_signature(secret.sign(body.data, ec.ECDSA(_ec_hash(body))))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    if isinstance(secret, rsa.RSAPrivateKey):
        scheme, algorithm = _rsa_scheme(body)
        return secret.sign(body.data, scheme, algorithm)
    return secret.sign(body.data, _ml_dsa_context(body))


def verify(secret: Any, body: m.Verify) -> None:
    """Raise FailedError where the signature is not one."""
    try:
        if isinstance(secret, bytes):
            _mac(secret, body).verify(body.signature)
        else:
            _verify_public(secret.public_key(), body)
    except (InvalidSignature, ValueError):
        raise FailedError(Status.BAD_SIGNATURE) from None


def _verify_public(public: Any, body: m.Verify) -> None:
    if isinstance(public, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        _no_context(body)
        public.verify(body.signature, body.data)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        half = len(body.signature) // 2
        r, s = (int.from_bytes(part, "big") for part in (body.signature[:half], body.signature[half:]))
        public.verify(encode_dss_signature(r, s), body.data, ec.ECDSA(_ec_hash(body)))
    elif isinstance(public, rsa.RSAPublicKey):
        scheme, algorithm = _rsa_scheme(body)
        data = body.data
        if isinstance(algorithm, NoDigestInfo):  # which `cryptography` can sign with, not verify
            data = data[19:]
            algorithm = Prehashed(BY_LENGTH[len(data)])
        public.verify(body.signature, data, scheme, algorithm)
    else:
        public.verify(body.signature, body.data, _ml_dsa_context(body))


def _no_context(body: m.Sign | m.Verify) -> None:
    if body.parameters != m.NIL_PARAMETERS and m.decode_body(p.EddsaParameters, body.parameters).context:
        raise FailedError(Status.BAD_REQUEST)


def _ml_dsa_context(body: m.Sign | m.Verify) -> bytes:
    return b"" if body.parameters == m.NIL_PARAMETERS else m.decode_body(p.MlDsaParameters, body.parameters).context


def _mac(secret: bytes, body: m.Sign | m.Verify) -> Any:
    if body.mechanism == mech.CKM_AES_CMAC:
        made: Any = cmac.CMAC(algorithms.AES(secret))
    else:
        made = hmac.HMAC(secret, HASHES[mech.MECHANISMS[body.mechanism].hash_mechanism]())
    made.update(body.data)
    return made


def _ec_hash(body: m.Sign | m.Verify) -> Any:
    number = mech.MECHANISMS[body.mechanism].hash_mechanism
    return HASHES[number]() if number else Prehashed(BY_LENGTH[len(body.data)])


def _rsa_scheme(body: m.Sign | m.Verify) -> tuple[Any, Any]:
    row = mech.MECHANISMS[body.mechanism]
    if row.parameters is p.PssParameters:
        given = m.decode_body(p.PssParameters, body.parameters)
        whole = HASHES[given.hash_mechanism]()
        scheme = padding.PSS(padding.MGF1(MGFS[given.mgf]()), given.salt_bytes)
        return scheme, Prehashed(whole) if row.digest_input else whole
    return padding.PKCS1v15(), NoDigestInfo() if row.digest_input else HASHES[row.hash_mechanism]()


# ---- ciphers and wrapping -------------------------------------------------------------------------------------


def encrypt(secret: Any, body: m.Encrypt) -> tuple[bytes, bytes]:
    """Return the ciphertext and the initialisation vector."""
    if isinstance(secret, rsa.RSAPrivateKey):
        return secret.public_key().encrypt(body.data, _rsa_padding(body)), b""
    if body.mechanism == mech.CKM_AES_GCM:
        gcm = m.decode_body(p.GcmParameters, body.parameters)
        iv = gcm.iv or secrets.token_bytes(12)
        return AESGCM(secret).encrypt(iv, body.data, gcm.aad), iv
    iv = _iv(body) or secrets.token_bytes(IV_BYTES)
    context = _block_cipher(secret, body, iv).encryptor()
    return context.update(_padded(body)) + context.finalize(), iv


def decrypt(secret: Any, body: m.Decrypt) -> bytes:
    """Return the plaintext; raise FailedError where the mechanism notices that it is wrong."""
    try:
        if isinstance(secret, rsa.RSAPrivateKey):
            return secret.decrypt(body.data, _rsa_padding(body))
        if body.mechanism == mech.CKM_AES_GCM:
            gcm = m.decode_body(p.GcmParameters, body.parameters)
            return AESGCM(secret).decrypt(gcm.iv, body.data, gcm.aad)
        context = _block_cipher(secret, body, _iv(body)).decryptor()
        plain = context.update(body.data) + context.finalize()
        if body.mechanism == mech.CKM_AES_CBC_PAD:
            remover = PKCS7(128).unpadder()
            plain = remover.update(plain) + remover.finalize()
    except (InvalidTag, ValueError):
        raise FailedError(Status.BAD_DATA) from None
    return plain


def _rsa_padding(body: m.Encrypt | m.Decrypt | m.WrapKey | m.UnwrapKey) -> padding.AsymmetricPadding:
    if body.mechanism == mech.CKM_RSA_PKCS:
        return padding.PKCS1v15()
    oaep = m.decode_body(p.OaepParameters, body.parameters)
    return padding.OAEP(padding.MGF1(MGFS[oaep.mgf]()), HASHES[oaep.hash_mechanism](), oaep.label or None)


def _iv(body: m.Encrypt | m.Decrypt) -> bytes:
    if body.mechanism == mech.CKM_AES_CTR:
        return m.decode_body(p.CtrParameters, body.parameters).counter_block
    return m.decode_body(p.IvParameters, body.parameters).iv


def _block_cipher(secret: bytes, body: m.Encrypt | m.Decrypt, iv: bytes) -> Cipher[Any]:
    mode = modes.CTR(iv) if body.mechanism == mech.CKM_AES_CTR else modes.CBC(iv)
    return Cipher(algorithms.AES(secret), mode)


def _padded(body: m.Encrypt) -> bytes:
    if body.mechanism == mech.CKM_AES_CBC and len(body.data) % IV_BYTES:
        raise FailedError(Status.BAD_DATA)
    if body.mechanism != mech.CKM_AES_CBC_PAD:
        return body.data
    adder = PKCS7(128).padder()
    return adder.update(body.data) + adder.finalize()


def wrap(secret: Any, body: m.WrapKey, material: bytes) -> bytes:
    """Return wrapped material."""
    if body.mechanism == mech.CKM_RSA_PKCS_OAEP:
        return secret.public_key().encrypt(material, _rsa_padding(body))
    padded = body.mechanism == mech.CKM_AES_KEY_WRAP_KWP
    return (keywrap.aes_key_wrap_with_padding if padded else keywrap.aes_key_wrap)(secret, material)


def unwrap(secret: Any, body: m.UnwrapKey) -> bytes:
    """Return the material; raise FailedError where another key wrapped it."""
    try:
        if body.mechanism == mech.CKM_RSA_PKCS_OAEP:
            return secret.decrypt(body.wrapped, _rsa_padding(body))
        padded = body.mechanism == mech.CKM_AES_KEY_WRAP_KWP
        return (keywrap.aes_key_unwrap_with_padding if padded else keywrap.aes_key_unwrap)(secret, body.wrapped)
    except (keywrap.InvalidUnwrap, ValueError):
        raise FailedError(Status.BAD_DATA) from None


# ---- keys out of keys -----------------------------------------------------------------------------------------


def derive(secret: Any, body: m.Derive) -> bytes:
    """Return the material of a derived key."""
    length = KEY_TYPES[body.key_type].size // 8
    if body.mechanism == mech.CKM_HKDF_DERIVE:
        hkdf = m.decode_body(p.HkdfParameters, body.parameters)
        return HKDF(HASHES[hkdf.hash_mechanism](), length, hkdf.salt or None, hkdf.info).derive(secret)
    ecdh = m.decode_body(p.EcdhParameters, body.parameters)
    try:
        peer: Any = serialization.load_der_public_key(ecdh.peer_public_key)
        if isinstance(secret, x25519.X25519PrivateKey):
            shared = secret.exchange(peer)
        else:
            shared = secret.exchange(ec.ECDH(), peer)
    except (ValueError, TypeError):
        raise FailedError(Status.BAD_DATA) from None
    return HKDF(HASHES[ecdh.kdf_hash](), length, ecdh.salt or None, ecdh.info).derive(shared)


def encapsulate(secret: Any) -> tuple[bytes, bytes]:
    """Return the ciphertext and the shared secret."""
    shared, ciphertext = secret.public_key().encapsulate()
    return ciphertext, shared


def decapsulate(secret: Any, ciphertext: bytes) -> bytes:
    """Return the shared secret."""
    try:
        return secret.decapsulate(ciphertext)
    except ValueError:
        raise FailedError(Status.BAD_DATA) from None
