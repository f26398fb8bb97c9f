"""A master key in a device, as the keyring holds it: the device makes MACs and gives its attribute key out.

A MAC takes a call of the device, so the event loop is kept from making them: whoever writes a row has its MAC made in
the thread that writes it, and whoever is given rows by the store has theirs made before the loop sees them. Both are
remembered, and the loop finds them. What it does not find it asks for on a line of its own.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.core.mac_memory import MacMemory
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.core.attribute_key import KEY_BYTES, AttributeKey


class DeviceMasterKey:
    """Implements `MasterKey`."""

    __slots__ = ("_link", "_lock", "_memory", "_version", "attributes", "fingerprint")

    def __init__(self, link: DeviceLink, version: int, given_out: bytes) -> None:
        """Use what the device has given out.

        Args:
            link: to the device.
            version: under which the device knows it.
            given_out: the attribute key and the fingerprint.
        """
        self._link = link
        self._version = version
        self._memory = MacMemory()
        self._lock = threading.Lock()
        self.attributes = AttributeKey(given_out[:KEY_BYTES])
        self.fingerprint = given_out[KEY_BYTES:]

    def __repr__(self) -> str:
        return f"DeviceMasterKey({self.fingerprint.hex()}, <secret>)"

    def mac(self, message: bytes) -> bytes:
        with self._lock:
            mac = self._memory.get(message)
        if mac is None:
            answer = self._link.ask_here(messages.Mac(self._version, message))
            assert isinstance(answer, messages.Done)  # what Mac is answered with
            mac = answer.data
            with self._lock:
                self._memory.put(message, mac)
        return mac

    def expect(self, messages: Sequence[bytes]) -> None:
        if len(messages) < 2:
            for message in messages:
                self.mac(message)
            return
        with ThreadPoolExecutor(max(1, self._link.idle), "expected") as threads:
            for _ in threads.map(self.mac, messages):
                continue

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        return self.attributes.unwrap_store_key(wrapped)
