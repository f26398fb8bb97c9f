"""AES keys: GCM (SP 800-38D), CMAC (SP 800-38B, RFC 4493), KW and KWP (RFC 3394, RFC 5649); CBC and CTR next door."""

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap,
    aes_key_wrap_with_padding,
)

from hsm_node.backends import aes_modes
from hsm_node.backends.aes_modes import SoftwareModes
from hsm_node.backends.base import bad_ciphertext, bad_signature
from hsm_node.backends.key_derivation import derived_with_hkdf
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.parameters import GcmParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

OFFERED: Final[dict[int, Usage]] = {
    ckm.CKM_AES_GCM: Usage.ENCRYPT | Usage.DECRYPT,
    **aes_modes.OFFERED,
    ckm.CKM_AES_CMAC: Usage.SIGN | Usage.VERIFY,
    ckm.CKM_AES_KEY_WRAP: Usage.WRAP | Usage.UNWRAP,
    ckm.CKM_AES_KEY_WRAP_KWP: Usage.WRAP | Usage.UNWRAP,
}
MADE_NONCE_BYTES: Final = 12
"""96 random bits (SP 800-38D, section 8.2.2)."""
MIN_NONCE_BYTES: Final = 8
MAX_NONCE_BYTES: Final = 128
"""Bounds of what the library takes for nonces that others made."""
TAG_BITS: Final = 128
TAG_BYTES: Final = TAG_BITS // 8
MAX_WRAPPED_BYTES: Final = 16 * 1024
"""More than three times the longest key that there is (RSA-8192 in PKCS#8). To unwrap takes 80 ns a byte, so a frame
full of them would hold a thread for as long as 400 signatures with RSA-2048."""
_MIN_KW_BYTES: Final = 16
_KW_UNIT_BYTES: Final = 8


class AesKey(SoftwareKey):
    """An AES key."""

    __slots__ = ("_algorithm", "_gcm", "_material")

    def __init__(self, material: bytes) -> None:
        self._material = material
        self._algorithm = AES(material)
        self._gcm = AESGCM(material)

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        if mechanism != ckm.CKM_AES_GCM:
            return aes_modes.encrypt(SoftwareModes(self._algorithm), mechanism, parameters, data, caller_iv=caller_iv)
        gcm = gcm_parameters(parameters)
        nonce = gcm.iv
        if not nonce:
            nonce = os.urandom(MADE_NONCE_BYTES)
        elif not caller_iv:
            raise aes_modes.iv_not_allowed()
        else:
            check_nonce(nonce)
        return self._gcm.encrypt(nonce, data, gcm.aad), nonce

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        if mechanism != ckm.CKM_AES_GCM:
            return aes_modes.decrypt(SoftwareModes(self._algorithm), mechanism, parameters, data)
        gcm = gcm_parameters(parameters)
        check_nonce(gcm.iv)
        if len(data) < TAG_BYTES:
            raise bad_ciphertext()
        try:
            return self._gcm.decrypt(gcm.iv, data, gcm.aad)
        except InvalidTag:
            raise bad_ciphertext() from None

    def sign(self, _mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        mac = CMAC(self._algorithm)
        mac.update(data)
        return mac.finalize()

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(self.sign(mechanism, parameters, data), signature):
            raise bad_signature()

    def wrap(self, mechanism: int, _parameters: Parameters | None, material: bytes) -> bytes:
        if mechanism == ckm.CKM_AES_KEY_WRAP_KWP:
            return aes_key_wrap_with_padding(self._material, material)
        if len(material) < _MIN_KW_BYTES or len(material) % _KW_UNIT_BYTES:
            raise Refusal(
                Status.BAD_DATA,
                f"CKM_AES_KEY_WRAP wraps whole units of {_KW_UNIT_BYTES} bytes, at least {_MIN_KW_BYTES}, and this key"
                f" has {len(material)}: use CKM_AES_KEY_WRAP_KWP",
            )
        return aes_key_wrap(self._material, material)

    def unwrap(self, mechanism: int, _parameters: Parameters | None, wrapped: bytes) -> bytes:
        if len(wrapped) > MAX_WRAPPED_BYTES:
            raise bad_ciphertext()
        opened = aes_key_unwrap_with_padding if mechanism == ckm.CKM_AES_KEY_WRAP_KWP else aes_key_unwrap
        try:
            return opened(self._material, wrapped)
        except InvalidUnwrap:
            raise bad_ciphertext() from None

    def derive(self, _mechanism: int, parameters: Parameters | None, length: int) -> bytes:
        return derived_with_hkdf(self._material, parameters, length)


def gcm_parameters(parameters: Parameters | None) -> GcmParameters:
    """Return the parameters of GCM, which may be left out."""
    if parameters is None:
        return GcmParameters()
    assert isinstance(parameters, GcmParameters)  # the form that the mechanism table names
    if parameters.tag_bits != TAG_BITS:
        raise Refusal(Status.BAD_REQUEST, f"the tag has {TAG_BITS} bits here")
    return parameters


def check_nonce(nonce: bytes) -> None:
    """Refuse a nonce of a length that is not taken here."""
    if not MIN_NONCE_BYTES <= len(nonce) <= MAX_NONCE_BYTES:
        raise Refusal(Status.BAD_REQUEST, f"the nonce has {MIN_NONCE_BYTES} to {MAX_NONCE_BYTES} bytes")
