"""Keys whose private or secret half is in a device. What takes the public half alone is done in the node.

Each checks what it is asked as the software's key does, with that key's own code, before the device is asked.
"""

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm_node.backends import aes, aes_modes
from hsm_node.backends.base import LoadedKey, bad_ciphertext, bad_signature
from hsm_node.backends.ec import EcPublicKey
from hsm_node.backends.edwards import EdwardsPublicKey, check_pure
from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.rsa import RsaPublicKey, usual_pss
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import encode_body
from hsm_wire.parameters import CtrParameters, GcmParameters, IvParameters, Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_SIGNING: Final = Usage.SIGN | Usage.VERIFY
CLAIMED: Final[Mapping[int, Usage]] = {
    ckm.CKM_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA256_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA384_RSA_PKCS: _SIGNING,
    ckm.CKM_SHA512_RSA_PKCS: _SIGNING,
    ckm.CKM_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA256_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA384_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_SHA512_RSA_PKCS_PSS: _SIGNING,
    ckm.CKM_RSA_PKCS_OAEP: Usage.ENCRYPT | Usage.DECRYPT,
    ckm.CKM_ECDSA: _SIGNING,
    ckm.CKM_ECDSA_SHA256: _SIGNING,
    ckm.CKM_ECDSA_SHA384: _SIGNING,
    ckm.CKM_ECDSA_SHA512: _SIGNING,
    ckm.CKM_AES_GCM: Usage.ENCRYPT | Usage.DECRYPT,
    **aes_modes.OFFERED,
    ckm.CKM_AES_CMAC: _SIGNING,
    ckm.CKM_SHA256_HMAC: _SIGNING,
    ckm.CKM_SHA384_HMAC: _SIGNING,
    ckm.CKM_SHA512_HMAC: _SIGNING,
}
"""What this back end has code for. What a node offers of it the self-test finds."""
ADOPTED: Final[Mapping[int, Usage]] = {
    **{
        number: _SIGNING
        for number, usages in CLAIMED.items()
        if usages == _SIGNING and not {Family.RSA, Family.EC}.isdisjoint(MECHANISMS[number].families)
    },
    ckm.CKM_EDDSA: _SIGNING,
}
"""What keys are for that were in the device before."""
_ROOM_BYTES: Final = 1024
"""A signature with RSA-8192 takes all of it."""
_ALL: Final = int(Usage.SIGN | Usage.DECRYPT | Usage.ENCRYPT)


class DeviceKey(LoadedKey):
    """A key in the device. It is loaded there when it is first used, by the thread that uses it."""

    __slots__ = ("_link", "_ref")

    dear = _ALL

    def __init__(self, link: DeviceLink, record: Record, *, kept: bool = True) -> None:
        self._link = link
        wrapped, version = record.wrapped, record.master_key_version
        self._ref = messages.KeyRef(record.key_type, wrapped, version, kept, record.device_object)

    def drop(self) -> None:
        """Have the device destroy what it has loaded."""
        self._link.forget(self._ref)

    def _use(
        self, verb: str, mechanism: int, parameters: Parameters | None, data: bytes, room: int = _ROOM_BYTES
    ) -> bytes:
        encoded = b"" if parameters is None else encode_body(parameters)
        answer = self._link.ask(messages.Use(verb, self._ref, mechanism, encoded, data, room))
        assert isinstance(answer, messages.Done)  # what Use is answered with
        return answer.data


class DeviceRsaKey(DeviceKey):
    """RSA: the device signs and decrypts."""

    __slots__ = ("_public",)

    def __init__(self, link: DeviceLink, record: Record, *, kept: bool = True) -> None:
        super().__init__(link, record, kept=kept)
        public = load_der_public_key(record.public_key)
        assert isinstance(public, RSAPublicKey)  # the record is authentic, and says so
        self._public = RsaPublicKey(public)

    def sign(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        self._public.scheme(mechanism, parameters, data)  # refuses what the device should not even see
        if parameters is None and MECHANISMS[mechanism].parameters is not None:
            parameters = usual_pss(mechanism)
        return self._use("sign", mechanism, parameters, data)

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        self._public.verify(mechanism, parameters, data, signature)

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        return self._public.encrypt(mechanism, parameters, data, caller_iv=caller_iv)

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        return self._use("decrypt", mechanism, parameters, data)


class DeviceEcKey(DeviceKey):
    """ECDSA: the node hashes, the device signs."""

    __slots__ = ("_public",)

    def __init__(self, link: DeviceLink, record: Record, *, kept: bool = True) -> None:
        super().__init__(link, record, kept=kept)
        public = load_der_public_key(record.public_key)
        assert isinstance(public, EllipticCurvePublicKey)  # the record is authentic, and says so
        self._public = EcPublicKey(public)

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        return self._use("sign", ckm.CKM_ECDSA, None, self._public.digest(mechanism, data))

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        self._public.verify(mechanism, parameters, data, signature)


class DeviceEdwardsKey(DeviceKey):
    """Ed25519 and Ed448: none is wrapped, so these were adopted."""

    __slots__ = ("_public",)

    def __init__(self, link: DeviceLink, record: Record, *, kept: bool = True) -> None:
        super().__init__(link, record, kept=kept)
        public = load_der_public_key(record.public_key)
        assert isinstance(public, Ed25519PublicKey | Ed448PublicKey)  # the record is authentic, and says so
        self._public = EdwardsPublicKey(public)

    def sign(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        check_pure(parameters)
        return self._use("sign", mechanism, None, data)

    def verify(self, _mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        self._public.verify(parameters, data, signature)


class DeviceAesKey(DeviceKey):
    """AES-GCM and CMAC; and as `BlockModes` CBC and CTR, whose padding and counters the node looks at."""

    __slots__ = ()

    dear = int(Usage.ENCRYPT | Usage.DECRYPT | Usage.SIGN | Usage.VERIFY)

    def encrypt(
        self, mechanism: int, parameters: Parameters | None, data: bytes, *, caller_iv: bool
    ) -> tuple[bytes, bytes]:
        if mechanism != ckm.CKM_AES_GCM:
            return aes_modes.encrypt(self, mechanism, parameters, data, caller_iv=caller_iv)
        gcm = aes.gcm_parameters(parameters)
        if gcm.iv and not caller_iv:
            raise aes_modes.iv_not_allowed()
        nonce = gcm.iv or os.urandom(aes.MADE_NONCE_BYTES)
        aes.check_nonce(nonce)
        made = GcmParameters(nonce, gcm.aad, gcm.tag_bits)
        return self._use("encrypt", mechanism, made, data, len(data) + aes.TAG_BYTES), nonce

    def decrypt(self, mechanism: int, parameters: Parameters | None, data: bytes) -> bytes:
        if mechanism != ckm.CKM_AES_GCM:
            return aes_modes.decrypt(self, mechanism, parameters, data)
        gcm = aes.gcm_parameters(parameters)
        aes.check_nonce(gcm.iv)
        if len(data) < aes.TAG_BYTES:
            raise bad_ciphertext()
        return self._use("decrypt", mechanism, gcm, data, len(data))

    def cbc_encrypted(self, iv: bytes, data: bytes) -> bytes:
        return self._use("encrypt", ckm.CKM_AES_CBC, IvParameters(iv), data, len(data)) if data else b""

    def cbc_decrypted(self, iv: bytes, data: bytes) -> bytes:
        return self._use("decrypt", ckm.CKM_AES_CBC, IvParameters(iv), data, len(data)) if data else b""

    def ctr(self, block: bytes, data: bytes) -> bytes:
        parameters = CtrParameters(aes_modes.BLOCK_BITS, block)
        return self._use("encrypt", ckm.CKM_AES_CTR, parameters, data, len(data)) if data else b""

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        return self._use("sign", mechanism, None, data)

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(self.sign(mechanism, parameters, data), signature):
            raise bad_signature()


class DeviceHmacKey(DeviceKey):
    """HMAC: the device computes it, also to verify one."""

    __slots__ = ()

    dear = int(_SIGNING)

    def sign(self, mechanism: int, _parameters: Parameters | None, data: bytes) -> bytes:
        return self._use("sign", mechanism, None, data)

    def verify(self, mechanism: int, parameters: Parameters | None, data: bytes, signature: bytes) -> None:
        if not hmac.compare_digest(self.sign(mechanism, parameters, data), signature):
            raise bad_signature()


class DeviceCheckKey:
    """The key of the deep check: made at start, wrapped as all are, and in no record. Implements `CheckKey`."""

    __slots__ = ("_link", "_ref", "public_point")

    def __init__(self, link: DeviceLink, made: messages.Made, point: bytes, version: int) -> None:
        self._link = link
        self._ref = messages.KeyRef("ec-p256", made.wrapped, version)
        self.public_point = point

    def __repr__(self) -> str:
        return "DeviceCheckKey(<secret>)"

    def sign(self, challenge: bytes) -> bytes:
        digest = sha256(challenge).digest()
        answer = self._link.ask(messages.Use("sign", self._ref, ckm.CKM_ECDSA, b"", digest, _ROOM_BYTES))
        assert isinstance(answer, messages.Done)  # what Use is answered with
        return answer.data


_FAMILIES: Final[Mapping[Family, type[DeviceKey]]] = {
    Family.RSA: DeviceRsaKey,
    Family.EC: DeviceEcKey,
    Family.AES: DeviceAesKey,
    Family.HMAC: DeviceHmacKey,
}


def device_key(link: DeviceLink, record: Record, *, kept: bool = True) -> DeviceKey:
    """Return the key of a record; MECHANISM_NOT_HERE for a type that no device keeps.

    Args:
        link: to the device.
        record: of the key.
        kept: whether the device keeps what it has unwrapped, for the next use.
    """
    family = KEY_TYPES[record.key_type].family
    made = DeviceEdwardsKey if record.device_object and family is Family.ED else _FAMILIES.get(family)
    if made is None:
        text = f"this node's device keeps no {record.key_type} keys"
        raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)
    return made(link, record, kept=kept)
