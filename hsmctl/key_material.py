"""Private keys in files, as IMPORT_KEY wants them: PKCS#8 DER for private keys, the bytes for secret ones."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from hsm_wire.key_types import KEY_TYPES
from hsmctl.failures import USAGE, CommandError

_CURVES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521", "secp256k1": "ec-secp256k1"}


def material_of(data: bytes, key_type: str | None) -> tuple[str, bytes]:
    """Return the key's type and its material; a type that is named must fit."""
    if key_type is not None and KEY_TYPES[key_type].symmetric:
        return key_type, data
    private = _private_key(data)
    found = _type_of(private)
    if key_type not in (None, found):
        raise CommandError(f"the file holds a key of type {found}, not {key_type}; leave out --type", USAGE)
    return found, private.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private_key(data: bytes) -> PrivateKeyTypes:
    load = serialization.load_pem_private_key if b"-----BEGIN" in data else serialization.load_der_private_key
    try:
        return load(data, None)
    except TypeError:
        raise CommandError("the private key is encrypted; decrypt it first with `openssl pkey`", USAGE) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CommandError(
            "the file holds no private key in PEM or DER; for a secret key name its type, e.g. --type aes-256", USAGE
        ) from None


def _type_of(key: PrivateKeyTypes) -> str:
    name = "of an unknown kind"
    if isinstance(key, rsa.RSAPrivateKey):
        name = f"rsa-{key.key_size}"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        name = _CURVES.get(key.curve.name, key.curve.name)
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        name = "ed25519"
    elif isinstance(key, ed448.Ed448PrivateKey):
        name = "ed448"
    elif isinstance(key, x25519.X25519PrivateKey):
        name = "x25519"
    if name not in KEY_TYPES:
        raise CommandError(f"keys {name} are not offered; types are {', '.join(KEY_TYPES)}", USAGE)
    return name
