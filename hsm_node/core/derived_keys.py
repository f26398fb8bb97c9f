"""What is derived from one master key: the keys that protect the keys, each for one purpose only.

They wrap material (RFC 5649), encrypt records (AES-256-CTR) and authenticate them (HMAC-SHA256). All three are what
every PKCS#11 device has, so a device can hold keys like these without giving them out.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from hsm_node.core.attribute_key import KEY_BYTES, AttributeKey, derive

FINGERPRINT_BYTES: Final = 8
"""Enough to tell two master keys apart, and nothing that would help to guess one of 256 random bits."""


class DerivedKeys:
    """The keys of one master key in this process. Nothing gives them out. Implements `MasterKey`."""

    __slots__ = ("_kek", "_mac_key", "attributes", "fingerprint")

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._kek = derive(master_key, b"kek")
        self._mac_key = derive(master_key, b"record mac")
        self.attributes = AttributeKey(derive(master_key, b"record attributes"))
        self.fingerprint = derive(master_key, b"fingerprint")[:FINGERPRINT_BYTES]
        """Tells master keys apart, for operators; it says nothing of the key."""

    def __repr__(self) -> str:
        return f"DerivedKeys({self.fingerprint.hex()}, <secret>)"

    def wrap(self, material: bytes) -> bytes:
        """Return RFC5649(KEK, material)."""
        return aes_key_wrap_with_padding(self._kek, material)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Return the material.

        Raises:
            InvalidUnwrap: it was not wrapped by this key.
            ValueError: it has a length that nothing wrapped has.
        """
        return aes_key_unwrap_with_padding(self._kek, wrapped)

    def mac(self, message: bytes) -> bytes:
        """Return the MAC of a record or of the store's check record."""
        return hmac.digest(self._mac_key, message, "sha256")

    def expect(self, messages: Sequence[bytes]) -> None:
        """Do nothing: a MAC takes a microsecond."""

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        """Return a key of the store, which is under the attribute key, or in stores of version 0.1 under the KEK.

        Raises:
            InvalidUnwrap: it was not wrapped by either.
            ValueError: it has a length that nothing wrapped has.
        """
        try:
            return self.attributes.unwrap_store_key(wrapped)
        except InvalidUnwrap:
            return self.unwrap(wrapped)
