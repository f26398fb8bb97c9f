"""A master key in a device, as the keyring holds it: the device makes MACs and gives its attribute key out."""

import hmac
from typing import Final

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.core.attribute_key import AttributeKey
from hsm_node.core.derived_keys import FINGERPRINT_BYTES

_FINGERPRINT: Final = b"redoubt/v1/fingerprint"


class DeviceMasterKey:
    """Implements `MasterKey`."""

    __slots__ = ("_link", "_version", "attributes", "fingerprint")

    def __init__(self, link: DeviceLink, version: int, attribute_key: bytes) -> None:
        self._link = link
        self._version = version
        self.attributes = AttributeKey(attribute_key)
        self.fingerprint = hmac.digest(attribute_key, _FINGERPRINT, "sha256")[:FINGERPRINT_BYTES]

    def __repr__(self) -> str:
        return f"DeviceMasterKey({self.fingerprint.hex()}, <secret>)"

    def mac(self, message: bytes) -> bytes:
        answer = self._link.ask_on_loop(messages.Mac(self._version, message))
        assert isinstance(answer, messages.Done)  # what Mac is answered with
        return answer.data

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        return self.attributes.unwrap_store_key(wrapped)
