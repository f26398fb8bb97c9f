"""Diffie-Hellman on curves: the peer's public key, X25519 (RFC 7748), and the key made of the shared secret.

The shared secret itself is never a key: its bits are not uniform, so HKDF stands between (SP 800-56C).
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from hsm_node.backends.key_derivation import hkdf
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_ECDH1_DERIVE
from hsm_wire.parameters import EcdhParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {CKM_ECDH1_DERIVE: Usage.DERIVE}
MAX_PEER_BYTES: Final = 256
"""Of a peer's SubjectPublicKeyInfo: P-521 takes 158. What is longer is no key of these curves, and is not parsed."""


class X25519Key(SoftwareKey):
    """An X25519 private key."""

    __slots__ = ("_private",)

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private

    def derive(self, _mechanism: int, parameters: Parameters | None, length: int) -> bytes:
        parameters, peer = agreement(parameters)
        if not isinstance(peer, X25519PublicKey):
            raise wrong_peer("an X25519 key")
        try:
            shared = self._private.exchange(peer)
        except ValueError:  # All zeros: the peer's point is of small order, and the secret known to everybody.
            raise Refusal(Status.BAD_DATA, "the peer's public key gives a shared secret of zeros") from None
        return agreed_key(parameters, shared, length)


def agreement(parameters: Parameters | None) -> tuple[EcdhParameters, PublicKeyTypes]:
    """Return the parameters and the peer's public key, which the library has found to lie on its curve."""
    assert isinstance(parameters, EcdhParameters)  # the mechanism table says that they are required
    if len(parameters.peer_public_key) > MAX_PEER_BYTES:
        raise Refusal(Status.BAD_DATA, f"the peer's public key has more than {MAX_PEER_BYTES} bytes")
    try:
        return parameters, serialization.load_der_public_key(parameters.peer_public_key)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Refusal(Status.BAD_DATA, "the peer's public key is not a SubjectPublicKeyInfo in DER") from None


def agreed_key(parameters: EcdhParameters, shared: bytes, length: int) -> bytes:
    """Return the new key's material."""
    return hkdf(parameters.kdf_hash, shared, parameters.salt, parameters.info, length)


def wrong_peer(expected: str) -> Refusal:
    """Return the answer for a peer of another curve or type."""
    return Refusal(Status.BAD_DATA, f"the peer's public key is not {expected}, as this key is")
