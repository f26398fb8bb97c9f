"""What is derived from one master key: the keys that protect the keys, each for one purpose only.

They wrap material (RFC 5649), encrypt records (AES-256-CTR) and authenticate them (HMAC-SHA256). All three are what
every PKCS#11 device has, so a device can hold keys like these without giving them out.
"""

import hmac
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
FINGERPRINT_BYTES: Final = 8
"""Enough to tell two master keys apart, and nothing that would help to guess one of 256 random bits."""


class DerivedKeys:
    """The keys of one master key. Nothing gives them out."""

    __slots__ = ("_attribute_key", "_backup_key", "_kek", "_mac_key", "fingerprint")

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != KEY_BYTES:
            raise ValueError(f"a master key has {KEY_BYTES} bytes")
        self._kek = derive(master_key, b"kek")
        self._mac_key = derive(master_key, b"record mac")
        self._backup_key = derive(master_key, b"backup mac")
        self._attribute_key = AES(derive(master_key, b"record attributes"))
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

    def backup_mac(self, message: bytes) -> bytes:
        """Return the MAC of a part of a backup."""
        return hmac.digest(self._backup_key, message, "sha256")

    def encrypt(self, plaintext: bytes, iv: bytes) -> bytes:
        """Return the IV and the ciphertext. Nothing authenticates them but the MAC that the caller puts over them."""
        return iv + Cipher(self._attribute_key, CTR(iv)).encryptor().update(plaintext)

    def decrypt(self, body: bytes) -> bytes:
        """Return the plaintext of a body whose MAC has been checked."""
        return Cipher(self._attribute_key, CTR(body[:IV_BYTES])).decryptor().update(body[IV_BYTES:])


def derive(key: bytes, purpose: bytes) -> bytes:
    """Return the key for one purpose."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"redoubt/v1/" + purpose).derive(key)
