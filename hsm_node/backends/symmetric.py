"""AES-GCM (SP 800-38D) and HMAC (RFC 2104) on `cryptography` and the standard library."""

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm_node.backends.base import LoadedKey, bad_ciphertext, bad_signature
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.mechanisms import HASH_NAMES, MECHANISMS
from hsm_wire.parameters import GcmParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

AES_OFFERED: Final[dict[int, Usage]] = {ckm.CKM_AES_GCM: Usage.ENCRYPT | Usage.DECRYPT}
HMAC_OFFERED: Final[dict[int, Usage]] = dict.fromkeys(
    (ckm.CKM_SHA256_HMAC, ckm.CKM_SHA384_HMAC, ckm.CKM_SHA512_HMAC), Usage.SIGN | Usage.VERIFY
)
MADE_NONCE_BYTES: Final = 12
"""96 random bits (SP 800-38D, section 8.2.2)."""
MIN_NONCE_BYTES: Final = 8
MAX_NONCE_BYTES: Final = 128
"""Bounds of what the library takes for nonces that others made."""
TAG_BITS: Final = 128
TAG_BYTES: Final = TAG_BITS // 8
MIN_HMAC_KEY_BYTES: Final = 14
"""112 bits (SP 800-131A)."""
MAX_HMAC_KEY_BYTES: Final = 1024

_HMAC_HASHES: Final = {number: HASH_NAMES[MECHANISMS[number].hash_mechanism] for number in HMAC_OFFERED}


class AesKey(LoadedKey):
    """An AES key."""

    __slots__ = ("_gcm",)

    def __init__(self, material: bytes) -> None:
        self._gcm = AESGCM(material)

    def encrypt(
        self, _mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        gcm = _gcm_parameters(parameters)
        nonce = gcm.iv
        if not nonce:
            nonce = os.urandom(MADE_NONCE_BYTES)
        elif not caller_iv:
            raise Refusal(Status.KEY_USAGE, "the node makes the nonce: a caller's own needs the policy flag caller-iv")
        else:
            _check_nonce(nonce)
        return self._gcm.encrypt(nonce, data, gcm.aad), nonce

    def decrypt(self, _mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        gcm = _gcm_parameters(parameters)
        _check_nonce(gcm.iv)
        if len(data) < TAG_BYTES:
            raise bad_ciphertext()
        try:
            return self._gcm.decrypt(gcm.iv, data, gcm.aad)
        except InvalidTag:
            raise bad_ciphertext() from None


class HmacKey(LoadedKey):
    """An HMAC key: its signature is the whole MAC."""

    __slots__ = ("_material",)

    def __init__(self, material: bytes) -> None:
        self._material = material

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        return hmac.digest(self._material, data, _HMAC_HASHES[mechanism])

    def verify(self, mechanism: int, _parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(hmac.digest(self._material, data, _HMAC_HASHES[mechanism]), signature):
            raise bad_signature()


def check_hmac_material(material: bytes) -> None:
    """Refuse HMAC keys that are weak, or longer than anyone needs."""
    if not MIN_HMAC_KEY_BYTES <= len(material) <= MAX_HMAC_KEY_BYTES:
        raise Refusal(Status.BAD_DATA, f"an HMAC key has {MIN_HMAC_KEY_BYTES} to {MAX_HMAC_KEY_BYTES} bytes")


def _gcm_parameters(parameters: Parameters | None) -> GcmParameters:
    if parameters is None:
        return GcmParameters()
    assert isinstance(parameters, GcmParameters)  # the form that the mechanism table names
    if parameters.tag_bits != TAG_BITS:
        raise Refusal(Status.BAD_REQUEST, f"the tag has {TAG_BITS} bits here")
    return parameters


def _check_nonce(nonce: bytes) -> None:
    if not MIN_NONCE_BYTES <= len(nonce) <= MAX_NONCE_BYTES:
        raise Refusal(Status.BAD_REQUEST, f"the nonce has {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes")
