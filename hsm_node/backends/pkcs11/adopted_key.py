"""A key that was in the device before and cannot be wrapped: it is used where it is, and found by its label.

Another token may have an object of that label, and another key in it: so each signature is verified with the record's
public key before it leaves the node.
"""

from hsm_node.backends.base import LoadedKey
from hsm_node.backends.pkcs11.device_keys import DeviceKey
from hsm_node.core.refusal import Refusal
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status


class AdoptedKey(LoadedKey):
    """Signs and verifies, and nothing else."""

    __slots__ = ("_key", "_object", "dear")

    def __init__(self, key: DeviceKey, device_object: str) -> None:
        self._key = key
        self._object = device_object
        self.dear = key.dear

    def sign(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        signature = self._key.sign(mechanism, parameters, data)
        try:
            self._key.verify(mechanism, parameters, data, signature)
        except Refusal:
            text = f"the object {self._object!r} of this node's device is another key than the one that was adopted"
            raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True) from None
        return signature

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        self._key.verify(mechanism, parameters, data, signature)
