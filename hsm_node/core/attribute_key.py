"""The key of a master key that guards no material: it hides what records say, and the keys of the store.

Wherever the master key is, this one is in the node's memory: labels are read there all the time. It is derived from a
master key of this process, and given out by a device.
"""

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding, aes_key_wrap_with_padding

KEY_BYTES: Final = 32
"""Of the master key, and of everything that is derived from it."""
IV_BYTES: Final = 16
"""The first counter block of CTR, at random: blocks of 2^44 records under one key meet with a chance below 2^-32."""


class AttributeKey:
    """Encrypts what records say, and wraps the store's keys. Nothing gives it out."""

    __slots__ = ("_algorithm", "_store_kek")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an attribute key has {KEY_BYTES} bytes")
        self._algorithm = AES(key)
        self._store_kek = derive(key, b"store keys")

    def __repr__(self) -> str:
        return "AttributeKey(<secret>)"

    def encrypt(self, plaintext: bytes, iv: bytes) -> bytes:
        """Return the IV and the ciphertext. Nothing authenticates them but the MAC that the caller puts over them."""
        return iv + Cipher(self._algorithm, CTR(iv)).encryptor().update(plaintext)

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of a body whose MAC has been checked."""
        return Cipher(self._algorithm, CTR(body[:IV_BYTES])).decryptor().update(body[IV_BYTES:])

    def wrap_store_key(self, key: bytes) -> bytes:
        """Return a key of the store as the store has it.

        A KEK in a device gives nothing out in clear, and the store's keys are used in the node: so it is not the KEK
        that wraps them.
        """
        return aes_key_wrap_with_padding(self._store_kek, key)

    def unwrap_store_key(self, wrapped: bytes) -> bytes:
        """Return a key of the store.

        Raises:
            InvalidUnwrap: it was not wrapped by this key.
            ValueError: it has a length that nothing wrapped has.
        """
        return aes_key_unwrap_with_padding(self._store_kek, wrapped)


def derive(key: bytes, purpose: bytes) -> bytes:
    """Return the key for one purpose."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"redoubt/v1/" + purpose).derive(key)
