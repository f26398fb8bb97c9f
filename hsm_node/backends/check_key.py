"""The key of the deep check: P-256, made at each start, never stored."""

from typing import Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

_COORDINATE_BYTES: Final = 32


class CheckKey:
    """A key pair in memory. A device's back end has one of the same form, as a session object of the device."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.public_point = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        """65 bytes: the point, uncompressed (SEC 1, 2.3.3)."""

    def __repr__(self) -> str:
        return "CheckKey(<secret>)"

    def sign(self, challenge: bytes) -> bytes:
        """Return ECDSA with SHA-256 over the challenge as r || s."""
        r, s = utils.decode_dss_signature(self._key.sign(challenge, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")
