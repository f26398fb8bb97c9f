"""RSA on `cryptography` (RFC 8017): PKCS#1 v1.5 signatures and encryption, PSS, OAEP.

PKCS#1 v1.5 decryption is safe only where wrong padding gives the same wrong plaintext each time, on every node, as
OpenSSL does since 3.2 (implicit rejection): the self-test proves it at start, or decryption is not offered.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from hsm_node.backends.base import bad_ciphertext, bad_signature
from hsm_node.backends.hashes import HASH_BY_LENGTH, HASHES, MASK_HASHES, parameter_hash, parameter_mask
from hsm_node.backends.rsa_check import check_consistent
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.parameters import OaepParameters, Parameters, PssParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_SIGNING: Final = Usage.SIGN | Usage.VERIFY
_CIPHER: Final = Usage.ENCRYPT | Usage.DECRYPT
# Without CKM_RSA_X_509: the library has no raw operation with the private key, and Python's `pow` takes a time that
# tells of the key.
OFFERED: Final[dict[int, Usage]] = {
    ckm.CKM_RSA_PKCS: _SIGNING | _CIPHER,
    ckm.CKM_SHA1_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA256_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA384_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA512_RSA_PKCS: _SIGNING,
    ckm.CKM_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA256_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA384_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA512_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_RSA_PKCS_OAEP: _CIPHER | Usage.WRAP | Usage.UNWRAP,
}
PUBLIC_EXPONENT: Final = 65_537
MIN_BITS: Final = 2048

# DER of DigestInfo up to the digest (RFC 8017, section 9.2, note 1).
_DIGEST_INFO_PREFIXES: Final[dict[bytes, hashes.HashAlgorithm]] = {
    bytes.fromhex("3031300d060960864801650304020105000420"): hashes.SHA256(),
    bytes.fromhex("3041300d060960864801650304020205000430"): hashes.SHA384(),
    bytes.fromhex("3051300d060960864801650304020305000440"): hashes.SHA512(),
}
_PREFIX_BYTES: Final = 19
_PKCS1_PADDING_BYTES: Final = 11
"""At least, of an encryption (RFC 8017, section 7.2.1)."""
# What signs whole data. SHA-1 is named by its mechanism alone, which needs a policy flag, and by no parameter.
_WHOLE_HASHES: Final = {**HASHES, ckm.CKM_SHA_1: hashes.SHA1()}  # noqa: S303 - as said
_PKCS1: Final = PKCS1v15()

_Hash = hashes.HashAlgorithm | Prehashed
_Padding = PSS | PKCS1v15


class RsaPublicKey(SoftwareKey):
    """What is done with the public half, wherever the private one is."""

    __slots__ = ("_bytes", "_public")

    def __init__(self, public: rsa.RSAPublicKey) -> None:
        self._public = public
        self._bytes = (public.key_size + 7) // 8

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        padding, algorithm, message = self.scheme(mechanism, parameters, data)
        try:
            self._public.verify(signature, message, padding, algorithm)
        except InvalidSignature:
            raise bad_signature() from None

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        del caller_iv  # RSA has no nonce.
        padding, overhead = _encryption(mechanism, parameters)
        longest = self._bytes - overhead
        if len(data) > longest:
            raise Refusal(Status.BAD_DATA, f"this key encrypts at most {longest} bytes with these parameters")
        return self._public.encrypt(data, padding), b""

    def wrap(self, mechanism: int, parameters: Parameters | None, material: bytes) -> bytes:
        wrapped, _ = self.encrypt(mechanism, parameters, material, caller_iv=False)
        return wrapped

    def scheme(self, mechanism: int, parameters: Parameters | None, data: bytes) -> tuple[_Padding, _Hash, bytes]:
        """Return padding, hash and message of a signature."""
        hash_mechanism = MECHANISMS[mechanism].hash_mechanism
        if mechanism == ckm.CKM_RSA_PKCS:
            algorithm, digest = _digest_info(data)
            return _PKCS1, Prehashed(algorithm), digest
        if mechanism == ckm.CKM_RSA_PKCS_PSS:
            assert isinstance(parameters, PssParameters)  # the mechanism table says that they are required
            whole = parameter_hash(parameters.hash_mechanism)
            if len(data) != whole.digest_size:
                raise Refusal(Status.BAD_DATA, f"a {whole.name} digest has {whole.digest_size} bytes")
            return self._pss(parameters, whole), Prehashed(whole), data
        whole = _WHOLE_HASHES[hash_mechanism]
        if MECHANISMS[mechanism].parameters is None:
            return _PKCS1, whole, data
        if parameters is None:
            return PSS(MGF1(whole), whole.digest_size), whole, data
        assert isinstance(parameters, PssParameters)  # the form that the mechanism table names
        if parameters.hash_mechanism != hash_mechanism:
            raise Refusal(Status.BAD_REQUEST, "the parameters name another hash than the mechanism")
        return self._pss(parameters, whole), whole, data

    def _pss(self, parameters: PssParameters, whole: hashes.HashAlgorithm) -> PSS:
        mask = parameter_mask(parameters.mgf)
        longest = self._bytes - whole.digest_size - 2
        if not 0 <= parameters.salt_bytes <= longest:
            raise Refusal(Status.BAD_REQUEST, f"the salt of this key and hash has 0 to {longest} bytes")
        return PSS(MGF1(mask), parameters.salt_bytes)


class RsaKey(RsaPublicKey):
    """An RSA private key."""

    __slots__ = ("_private",)

    dear = int(Usage.SIGN | Usage.DECRYPT)

    def __init__(self, private: rsa.RSAPrivateKey) -> None:
        super().__init__(private.public_key())
        self._private = private

    def sign(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        padding, algorithm, message = self.scheme(mechanism, parameters, data)
        return self._private.sign(message, padding, algorithm)

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        padding, _ = _encryption(mechanism, parameters)
        if len(data) != self._bytes:
            raise bad_ciphertext()
        try:
            return self._private.decrypt(data, padding)
        except ValueError:
            raise bad_ciphertext() from None

    def unwrap(self, mechanism: int, parameters: Parameters | None, wrapped: bytes) -> bytes:
        return self.decrypt(mechanism, parameters, wrapped)


def usual_pss(mechanism: int) -> PssParameters:
    """Return the parameters that a mechanism has where the caller names none: one hash throughout, a salt as long."""
    number = MECHANISMS[mechanism].hash_mechanism
    mask = next(mgf for mgf, algorithm in MASK_HASHES.items() if algorithm.name == HASHES[number].name)
    return PssParameters(number, mask, HASHES[number].digest_size)


def check_imported(private: rsa.RSAPrivateKey, bits: int) -> None:
    """Refuse a key that is too short, not of its type's size, of a weak exponent (FIPS 186-5, A.1.1), or no key."""
    if private.key_size < MIN_BITS:
        raise Refusal(Status.BAD_DATA, f"RSA keys below {MIN_BITS} bits are refused")
    if private.key_size != bits:
        raise Refusal(Status.BAD_DATA, f"the key has {private.key_size} bits, not {bits}")
    if private.public_key().public_numbers().e < PUBLIC_EXPONENT:
        raise Refusal(Status.BAD_DATA, f"public exponents below {PUBLIC_EXPONENT} are refused")
    check_consistent(private)


def _digest_info(data: bytes) -> tuple[hashes.HashAlgorithm, bytes]:
    algorithm = _DIGEST_INFO_PREFIXES.get(data[:_PREFIX_BYTES])
    digest = data[_PREFIX_BYTES:]
    if algorithm is None or HASH_BY_LENGTH.get(len(digest)) is None or len(digest) != algorithm.digest_size:
        raise Refusal(Status.BAD_DATA, "the data is not a DigestInfo of SHA-256, SHA-384 or SHA-512")
    return algorithm, digest


def _encryption(mechanism: int, parameters: Parameters | None) -> tuple[OAEP | PKCS1v15, int]:
    """Return the padding, and how many bytes of the modulus it takes."""
    if mechanism == ckm.CKM_RSA_PKCS:
        return _PKCS1, _PKCS1_PADDING_BYTES
    assert isinstance(parameters, OaepParameters)  # the mechanism table says that they are required
    algorithm = parameter_hash(parameters.hash_mechanism)
    mask = parameter_mask(parameters.mgf)
    return OAEP(MGF1(mask), algorithm, parameters.label or None), 2 * algorithm.digest_size + 2
