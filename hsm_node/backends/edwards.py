"""Ed25519 and Ed448 (RFC 8032): the pure forms, without context or pre-hash, which the library lacks."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey, Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from hsm_node.backends.base import bad_signature
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_EDDSA
from hsm_wire.parameters import EddsaParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {CKM_EDDSA: Usage.SIGN | Usage.VERIFY}

EdwardsPrivate = Ed25519PrivateKey | Ed448PrivateKey
EdwardsPublic = Ed25519PublicKey | Ed448PublicKey


class EdwardsPublicKey:
    """The public half, which needs no secret."""

    __slots__ = ("_public",)

    def __init__(self, public: EdwardsPublic) -> None:
        self._public = public

    def verify(self, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        """Return when the signature is right, raise BAD_SIGNATURE when not."""
        check_pure(parameters)
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            raise bad_signature() from None


class EdwardsKey(SoftwareKey):
    """An Ed25519 or Ed448 private key."""

    __slots__ = ("_private", "_public", "dear")

    def __init__(self, private: EdwardsPrivate) -> None:
        self._private = private
        self._public = EdwardsPublicKey(private.public_key())
        self.dear = 0 if isinstance(private, Ed25519PrivateKey) else int(Usage.SIGN | Usage.VERIFY)

    def sign(self, _mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        check_pure(parameters)
        return self._private.sign(data)

    def verify(self, _mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        self._public.verify(parameters, data, signature)


def check_pure(parameters: Parameters | None) -> None:
    """Refuse the forms that are not there."""
    if isinstance(parameters, EddsaParameters) and (parameters.prehash or parameters.context):
        raise Refusal(Status.BAD_REQUEST, "EdDSA works without pre-hash and context here: leave both out")
