"""A master key in a device, as the keyring holds it: the device makes MACs and gives its attribute key out."""

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.core.attribute_key import KEY_BYTES, AttributeKey


class DeviceMasterKey:
    """Implements `MasterKey`."""

    __slots__ = ("_link", "_version", "attributes", "fingerprint")

    def __init__(self, link: DeviceLink, version: int, given_out: bytes) -> None:
        """Use what the device has given out.

        Args:
            link: to the device.
            version: under which the device knows it.
            given_out: the attribute key and the fingerprint.
        """
        self._link = link
        self._version = version
        self.attributes = AttributeKey(given_out[:KEY_BYTES])
        self.fingerprint = given_out[KEY_BYTES:]

    def __repr__(self) -> str:
        return f"DeviceMasterKey({self.fingerprint.hex()}, <secret>)"

    def mac(self, message: bytes) -> bytes:
        answer = self._link.ask_on_loop(messages.Mac(self._version, message))
        assert isinstance(answer, messages.Done)  # what Mac is answered with
        return answer.data

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        return self.attributes.unwrap_store_key(wrapped)
