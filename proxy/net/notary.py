"""The cryptography of the deep check: implements `Notary`."""

import os
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from proxy.core.checks.deep_check import CHALLENGE_BYTES

_COORDINATE_BYTES: Final = 32
_ALGORITHM: Final = ec.ECDSA(hashes.SHA256())


class EcdsaNotary:
    """P-256 with SHA-256."""

    def challenge(self) -> bytes:
        """Return random bytes, new each time."""
        return os.urandom(CHALLENGE_BYTES)

    def verifies(self, public_key: bytes, challenge: bytes, signature: bytes) -> bool:
        """Say whether this is the key's signature (r || s) of the challenge; a key that is no point has none."""
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public_key)
            r, s = (
                int.from_bytes(part, "big") for part in (signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:])
            )
            key.verify(utils.encode_dss_signature(r, s), challenge, _ALGORITHM)
        except (InvalidSignature, ValueError):
            return False
        return True
