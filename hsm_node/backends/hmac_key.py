"""HMAC (RFC 2104) on the standard library, which is as fast as any."""

import hmac
from typing import Final

from hsm_node.backends.base import bad_signature
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.mechanisms import HASH_NAMES, MECHANISMS
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = dict.fromkeys(
    (ckm.CKM_SHA256_HMAC, ckm.CKM_SHA384_HMAC, ckm.CKM_SHA512_HMAC), Usage.SIGN | Usage.VERIFY
)
MIN_HMAC_KEY_BYTES: Final = 14
"""112 bits (SP 800-131A)."""
MAX_HMAC_KEY_BYTES: Final = 1024

_HASHES: Final = {number: HASH_NAMES[MECHANISMS[number].hash_mechanism] for number in OFFERED}


class HmacKey(SoftwareKey):
    """An HMAC key: its signature is the whole MAC."""

    __slots__ = ("_material",)

    def __init__(self, material: bytes) -> None:
        self._material = material

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        return hmac.digest(self._material, data, _HASHES[mechanism])

    def verify(self, mechanism: int, _parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(self._material, data, _HASHES[mechanism]), signature):
            raise bad_signature()


def check_hmac_material(material: bytes) -> None:
    """Refuse HMAC keys that are weak, or longer than anyone needs."""
    if not MIN_HMAC_KEY_BYTES <= len(material) <= MAX_HMAC_KEY_BYTES:
        raise Refusal(Status.BAD_DATA, f"an HMAC key has {MIN_HMAC_KEY_BYTES} to {MAX_HMAC_KEY_BYTES} bytes")
