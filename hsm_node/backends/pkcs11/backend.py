"""The PKCS#11 back end: keys are made, wrapped and used in a device; what a public key alone can do, the node does."""

import os
from collections.abc import Collection
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_node.backends import private_keys
from hsm_node.backends.base import LoadedKey, Outcome, Proved, not_here
from hsm_node.backends.ec import CURVES
from hsm_node.backends.known_keys import temporary_record
from hsm_node.backends.loaded_keys import LoadedKeys
from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.adopted_key import AdoptedKey
from hsm_node.backends.pkcs11.device_keys import ADOPTED, CLAIMED, DeviceCheckKey, DeviceKey, device_key
from hsm_node.backends.pkcs11.key_templates import FAMILIES
from hsm_node.backends.pkcs11.link import GENERATION_LIMIT_S, DeviceLink
from hsm_node.backends.secrets import check_secret
from hsm_node.backends.self_test import prove
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import Family, KeyType
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status

_WRAP_UNIT_BYTES: Final = 8
"""RFC 3394's. A device that pads a secret to it before it wraps gives back a longer one."""
_TRANSPORT_KEY_BYTES: Final = 32
_POINT_TAG: Final = 0x04
_LONG_FORM: Final = 0x81
_CHALLENGE_BYTES: Final = 32
_ADOPTION: Final = {Family.RSA: ckm.CKM_SHA256_RSA_PKCS, Family.EC: ckm.CKM_ECDSA_SHA256, Family.ED: ckm.CKM_EDDSA}
"""What shows that a private key belongs to the public one."""


class Pkcs11Backend(Proved):
    """Implements `Backend`."""

    adopted = ADOPTED

    def __init__(
        self,
        link: DeviceLink,
        keyring: Keyring,
        outcome: Outcome | None = None,
        adoptable: Collection[tuple[int, str]] = (),
    ) -> None:
        """Offer what a self-test proves.

        Args:
            link: to the device.
            keyring: says which master key is in use; its material is in the device.
            outcome: of the self-test; None: it is made now.
            adoptable: partitions, and labels of private keys in the device that they may adopt.
        """
        untested = Outcome(CLAIMED, ())
        super().__init__(outcome or prove(Pkcs11Backend(link, keyring, untested), CLAIMED), FAMILIES)
        self._link = link
        self._keyring = keyring
        self._adoptable = frozenset(adoptable)
        self._loaded: LoadedKeys[DeviceKey] = LoadedKeys()

    @property
    def random_is_dear(self) -> bool:
        return True

    def random(self, length: int) -> bytes:
        answer = self._link.ask(messages.Random(length))
        assert isinstance(answer, messages.Done)  # what Random is answered with
        return answer.data

    def generate(self, key_type: KeyType) -> WrappedKey:
        self._check_family(key_type)
        version = self._keyring.version  # read once: the loop may take another one into use meanwhile
        answer = self._link.ask(messages.Generate(key_type.name, version), GENERATION_LIMIT_S)
        assert isinstance(answer, messages.Made)  # what Generate is answered with
        return WrappedKey(answer.wrapped, answer.true_length, public_info(key_type, answer.public), version)

    def import_key(self, key_type: KeyType, material: bytes) -> WrappedKey:
        self._check_family(key_type)
        if key_type.symmetric:
            check_secret(key_type, material)
            if len(material) % _WRAP_UNIT_BYTES:
                text = f"this node's device keeps secrets of whole units of {_WRAP_UNIT_BYTES} bytes only"
                raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)
            return self._taken(key_type, material, len(material), b"")
        private = private_keys.imported(key_type, material)
        return self._taken(key_type, private_keys.pkcs8(private), 0, private_keys.public_info(private))

    def adopt(self, partition: int, key_type: KeyType, device_object: str) -> WrappedKey:
        if (partition, device_object) not in self._adoptable:
            text = f"this node's node.toml lets nobody of this partition adopt an object {device_object!r}"
            raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)
        answer = self._link.ask(messages.Adopt(key_type.name, device_object))
        assert isinstance(answer, messages.Made)  # what Adopt is answered with
        try:
            public = public_info(key_type, answer.public)
        except ValueError:
            text = f"the object {device_object!r} of this node's device is no {key_type.name} key"
            raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True) from None
        key = WrappedKey(b"", 0, public, device_object=device_object)
        mechanism, challenge = _ADOPTION[key_type.family], os.urandom(_CHALLENGE_BYTES)
        record = msgspec.structs.replace(temporary_record(key_type.name, key), device_object=device_object)
        self._at_work(record).sign(mechanism, None, challenge)
        return key

    def load(self, record: Record) -> LoadedKey:
        place = (record.partition, record.key_id)
        key = self._loaded.get(place)
        if key is None:
            key = device_key(self._link, record)
            self._loaded.put(place, key)
        return AdoptedKey(key, record.device_object) if record.device_object else key

    def fresh(self, record: Record) -> LoadedKey:
        return self._at_work(record, kept=False)

    def wrap_key(self, _record: Record, mechanism: int, _parameters: Parameters | None, _target: Record) -> bytes:
        raise not_here(mechanism)

    def unwrap_key(
        self, _record: Record, mechanism: int, _parameters: Parameters | None, _wrapped: bytes, _key_type: KeyType
    ) -> WrappedKey:
        raise not_here(mechanism)

    def derive(self, _record: Record, mechanism: int, _parameters: Parameters | None, _key_type: KeyType) -> WrappedKey:
        raise not_here(mechanism)

    def encapsulate(
        self, _record: Record, mechanism: int, _parameters: Parameters | None, _key_type: KeyType
    ) -> tuple[bytes, WrappedKey]:
        raise not_here(mechanism)

    def decapsulate(
        self, _record: Record, mechanism: int, _parameters: Parameters | None, _ciphertext: bytes, _key_type: KeyType
    ) -> WrappedKey:
        raise not_here(mechanism)

    def check_key(self) -> DeviceCheckKey:
        """Make the key of the deep check."""
        version = self._keyring.version
        answer = self._link.ask(messages.Generate("ec-p256", version), GENERATION_LIMIT_S)
        assert isinstance(answer, messages.Made)  # what Generate is answered with
        [point] = answer.public
        return DeviceCheckKey(self._link, answer, _point(point), version)

    def forget(self, partition: int, key_id: bytes) -> None:
        key = self._loaded.get((partition, key_id))
        if key is not None:
            self._loaded.drop((partition, key_id))
            key.drop()

    def _at_work(self, record: Record, *, kept: bool = True) -> LoadedKey:
        key = device_key(self._link, record, kept=kept)
        return AdoptedKey(key, record.device_object) if record.device_object else key

    def _check_family(self, key_type: KeyType) -> None:
        if key_type.family not in FAMILIES:
            text = f"this node's device keeps no {key_type.name} keys"
            raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)

    def _taken(self, key_type: KeyType, material: bytes, true_length: int, public_key: bytes) -> WrappedKey:
        """Give material to the device, under a key for this once: no object of it is ever made of clear values."""
        transport, version = os.urandom(_TRANSPORT_KEY_BYTES), self._keyring.version
        wrapped = aes_key_wrap_with_padding(transport, material)
        answer = self._link.ask(messages.Take(key_type.name, transport, wrapped, version))
        assert isinstance(answer, messages.Made)  # what Take is answered with
        return WrappedKey(answer.wrapped, true_length, public_key, version)


def public_info(key_type: KeyType, parts: tuple[bytes, ...]) -> bytes:
    """Return SubjectPublicKeyInfo of what a device says of a key; nothing for a secret key.

    Raises:
        ValueError: it is no such key.
    """
    if not parts:
        return b""
    if key_type.family is Family.RSA:
        modulus, exponent = (int.from_bytes(part, "big") for part in parts)
        public: PublicKeyTypes = rsa.RSAPublicNumbers(exponent, modulus).public_key()
        if modulus.bit_length() != key_type.size:
            raise ValueError(f"the modulus has {modulus.bit_length()} bits")
    elif key_type.family is Family.ED:
        form = Ed25519PublicKey if key_type.name == "ed25519" else Ed448PublicKey
        public = form.from_public_bytes(_point(parts[0]))
    else:
        public = ec.EllipticCurvePublicKey.from_encoded_point(CURVES[key_type.name], _point(parts[0]))
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _point(value: bytes) -> bytes:
    """Return the point in CKA_EC_POINT: an octet string in DER, or in some devices the point alone (which begins with
    the same byte, and then says no right length)."""
    head = 3 if value[1:2] == bytes([_LONG_FORM]) else 2
    length = value[head - 1] if len(value) > head else 0
    return value[head:] if value[:1] == bytes([_POINT_TAG]) and length == len(value) - head else value
