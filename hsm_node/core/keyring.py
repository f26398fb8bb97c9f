"""The keys that protect keys: all derived from the master key, each for one purpose only."""

import hmac
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

MASTER_KEY_BYTES: Final = 32
MASTER_KEY_VERSION: Final = 1
"""Version that new records name; rotation of the master key will count it up."""
CHANGE_MARK_BYTES: Final = 16
"""Of the digest that recognises a re-sent change: collisions among 8 marks do not matter at 128 bits."""


class KeyringError(Exception):
    """Wrapped material that this keyring cannot open."""


class Keyring:
    """Wraps key material and authenticates records. Nothing gives its keys out."""

    __slots__ = ("_digest_key", "_kek", "_mac_key", "_naming_key")

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_BYTES:
            raise ValueError(f"a master key has {MASTER_KEY_BYTES} bytes")
        self._kek = _derive(master_key, b"kek")
        self._mac_key = _derive(master_key, b"record mac")
        self._naming_key = _derive(master_key, b"store names")
        self._digest_key = _derive(master_key, b"request digests")

    def __repr__(self) -> str:
        return "Keyring(<secret>)"

    def wrap(self, material: bytes) -> bytes:
        """Return RFC5649(KEK, material)."""
        return aes_key_wrap_with_padding(self._kek, material)

    def unwrap(self, wrapped: bytes, true_length: int) -> bytes:
        """Return the material. The record's MAC has been checked before.

        Raises:
            KeyringError: it was not wrapped by this key, or is not of the length that the record states.
        """
        try:
            material = aes_key_unwrap_with_padding(self._kek, wrapped)
        except (InvalidUnwrap, ValueError):
            raise KeyringError("the wrapped material does not open under this master key") from None
        if len(material) != true_length:
            raise KeyringError("the wrapped material is not of the stated length")
        return material

    def mac(self, message: bytes) -> bytes:
        """Return the MAC of a record or of the store's check record."""
        return hmac.digest(self._mac_key, message, "sha256")

    def mac_matches(self, message: bytes, mac: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.mac(message), mac)

    def name(self, partition: int, key_id: bytes) -> bytes:
        """Return the store's name of a key: it means nothing without the naming key."""
        return hmac.digest(self._naming_key, partition.to_bytes(4, "big") + key_id, "sha256")

    def node_name(self, node: str) -> bytes:
        """Return the store's name of a node's administrative state: no key's name, they have another length."""
        return hmac.digest(self._naming_key, b"redoubt administrative state of node " + node.encode(), "sha256")

    def request_digest(self, partition: int, opcode: int, body: bytes) -> bytes:
        """Return the keyed digest of a creating request. Keyed, because an import's body is a secret."""
        prefix = b"create" + partition.to_bytes(4, "big") + opcode.to_bytes(2, "big")
        return hmac.digest(self._digest_key, prefix + body, "sha256")

    def change_mark(self, operation_id: int, opcode: int, body: bytes) -> bytes:
        """Return what a record keeps of a change, so that the same one sent again finds itself.

        The body is part of it: a caller who uses an operation id for two changes gets both, not one.
        """
        prefix = b"change" + operation_id.to_bytes(8, "big") + opcode.to_bytes(2, "big")
        return hmac.digest(self._digest_key, prefix + body, "sha256")[:CHANGE_MARK_BYTES]


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), MASTER_KEY_BYTES, salt=None, info=b"redoubt/v1/" + purpose).derive(master_key)
