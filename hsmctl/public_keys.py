"""Public keys and certificates in files, PEM or DER, and the DER that the cluster stores."""

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from hsm_client.derivations import PeerPublicKey
from hsm_wire.objects import CERTIFICATE, PUBLIC_KEY
from hsmctl.failures import USAGE, CommandError
from hsmctl.files import shown
from hsmctl.issuing import load_certificate

_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def load_public_key(data: bytes, source: str) -> PublicKeyTypes:
    """Return the public key in a file."""
    load = serialization.load_pem_public_key if b"-----BEGIN" in data else serialization.load_der_public_key
    try:
        return load(data)
    except (ValueError, UnsupportedAlgorithm):
        raise CommandError(
            f"{shown(source)} is no public key in PEM or DER; `hsmctl key public` writes one", USAGE
        ) from None


def load_peer(data: bytes, source: str) -> PeerPublicKey:
    """Return the public key in a file, if one can agree on keys with it."""
    key = load_public_key(data, source)
    if not isinstance(key, ec.EllipticCurvePublicKey | x25519.X25519PublicKey):
        raise CommandError(f"{shown(source)} cannot agree on keys; name a public key of type EC or X25519", USAGE)
    return key


def stored_form(kind: str, data: bytes, source: str) -> bytes:
    """Return what the cluster stores of a file: DER of certificates and public keys, data as it is."""
    if kind == CERTIFICATE:
        return load_certificate(data, shown(source)).public_bytes(serialization.Encoding.DER)
    if kind == PUBLIC_KEY:
        return load_public_key(data, source).public_bytes(serialization.Encoding.DER, _SPKI)
    return data


def pem_form(kind: str, value: bytes) -> bytes | None:
    """Return a stored value as PEM, None where it has no such form."""
    try:
        if kind == CERTIFICATE:
            return x509.load_der_x509_certificate(value).public_bytes(serialization.Encoding.PEM)
        if kind == PUBLIC_KEY:
            return serialization.load_der_public_key(value).public_bytes(serialization.Encoding.PEM, _SPKI)
    except (ValueError, UnsupportedAlgorithm):  # Another client stored it, and nobody but its users reads it.
        return None
    return None
