"""Ed25519 (RFC 8032): the pure form, without context or pre-hash."""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hsm_node.backends.base import LoadedKey, bad_signature
from hsm_node.core.refusal import Refusal
from hsm_wire.mechanisms import CKM_EDDSA
from hsm_wire.parameters import EddsaParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {CKM_EDDSA: Usage.SIGN | Usage.VERIFY}


class EdwardsKey(LoadedKey):
    """An Ed25519 private key."""

    __slots__ = ("_private", "_public")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key()

    def sign(self, _mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        _check_pure(parameters)
        return self._private.sign(data)

    def verify(self, _mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        _check_pure(parameters)
        try:
            self._public.verify(signature, data)
        except InvalidSignature:
            raise bad_signature() from None


def _check_pure(parameters: Parameters | None) -> None:
    if isinstance(parameters, EddsaParameters) and (parameters.prehash or parameters.context):
        raise Refusal(Status.BAD_REQUEST, "Ed25519 signs without pre-hash and context here")
