"""The software back end: keys are made, wrapped and used in this process, with `cryptography`.

It is not an HSM: its memory holds the keys that are at work. What it gives is the service, and a place to try it.
"""

import os
from collections.abc import Mapping
from functools import cache
from typing import Final

from hsm_node.backends import (
    aes,
    ec,
    edwards,
    hmac_key,
    key_agreement,
    key_derivation,
    post_quantum,
    private_keys,
    rsa,
)
from hsm_node.backends.base import LoadedKey, Outcome, Proved, in_one_device
from hsm_node.backends.check_key import CheckKey
from hsm_node.backends.loaded_keys import LoadedKeys
from hsm_node.backends.secrets import check_secret
from hsm_node.backends.self_test import prove
from hsm_node.backends.software_key import SoftwareKey
from hsm_node.core.keyring import MASTER_KEY_BYTES, Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.parameters import Parameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

IMPLEMENTED: Final[Mapping[int, Usage]] = {
    **rsa.OFFERED,
    **ec.OFFERED,
    **edwards.OFFERED,
    **key_agreement.OFFERED,
    **aes.OFFERED,
    **hmac_key.OFFERED,
    **key_derivation.OFFERED,
    **post_quantum.OFFERED,
}


class SoftwareBackend(Proved):
    """Implements `Backend`."""

    def __init__(self, keyring: Keyring, outcome: Outcome | None = None) -> None:
        """Offer what a self-test proved.

        Args:
            keyring: wraps what is made.
            outcome: of the self-test; None: of this process's own.
        """
        super().__init__(outcome or own_outcome())
        self._keyring = keyring
        self._loaded: LoadedKeys[SoftwareKey] = LoadedKeys()

    @property
    def random_is_dear(self) -> bool:
        return False

    def random(self, length: int) -> bytes:
        return os.urandom(length)

    def generate(self, key_type: KeyType) -> WrappedKey:
        if key_type.symmetric:
            return self._wrapped_secret(os.urandom(key_type.size // 8))
        return self._wrapped_private(private_keys.generated(key_type))

    def import_key(self, key_type: KeyType, material: bytes) -> WrappedKey:
        if key_type.symmetric:
            check_secret(key_type, material)
            return self._wrapped_secret(material)
        return self._wrapped_private(private_keys.imported(key_type, material))

    def adopt(self, _partition: int, _key_type: KeyType, _device_object: str) -> WrappedKey:
        text = "this node has no device, so there is nothing to adopt"
        raise Refusal(Status.MECHANISM_NOT_HERE, text, not_executed=True)

    def load(self, record: Record) -> LoadedKey:
        place = (record.partition, record.key_id)
        key = self._loaded.get(place)
        if key is None:
            key = self._made(record)
            self._loaded.put(place, key)
        return key

    def fresh(self, record: Record) -> LoadedKey:
        return self._made(record)

    def wrap_key(self, record: Record, mechanism: int, parameters: Parameters | None, target: Record) -> bytes:
        return self._at_hand(record).wrap(mechanism, parameters, self._material(target))

    def unwrap_key(
        self, record: Record, mechanism: int, parameters: Parameters | None, wrapped: bytes, key_type: KeyType
    ) -> WrappedKey:
        try:
            material = self._at_hand(record).unwrap(mechanism, parameters, wrapped)
            if key_type.symmetric:
                private_keys.check_none(material)
            return self.import_key(key_type, material)
        except Refusal as refusal:
            if refusal.status is not Status.BAD_DATA:
                raise
            # One answer for all reasons: which of them it was would be an oracle.
            detail = f"the data does not unwrap with this key and these parameters to a key of type {key_type.name}"
            raise Refusal(Status.BAD_DATA, detail) from None

    def derive(self, record: Record, mechanism: int, parameters: Parameters | None, key_type: KeyType) -> WrappedKey:
        _check_symmetric(key_type)
        return self._wrapped_secret(self._at_hand(record).derive(mechanism, parameters, key_type.size // 8))

    def encapsulate(
        self, record: Record, mechanism: int, _parameters: Parameters | None, key_type: KeyType
    ) -> tuple[bytes, WrappedKey]:
        _check_agreed(key_type)
        ciphertext, secret = self._at_hand(record).encapsulate(mechanism)
        return ciphertext, self._wrapped_secret(secret)

    def decapsulate(
        self, record: Record, mechanism: int, _parameters: Parameters | None, ciphertext: bytes, key_type: KeyType
    ) -> WrappedKey:
        _check_agreed(key_type)
        return self._wrapped_secret(self._at_hand(record).decapsulate(mechanism, ciphertext))

    def check_key(self) -> CheckKey:
        """Make the key of the deep check."""
        return CheckKey()

    def forget(self, partition: int, key_id: bytes) -> None:
        self._loaded.drop((partition, key_id))

    def _at_hand(self, record: Record) -> SoftwareKey:
        """Return a key to a thread: only the loop changes what is loaded, so one that is not stays so."""
        return self._loaded.peek((record.partition, record.key_id)) or self._made(record)

    def _made(self, record: Record) -> SoftwareKey:
        """Return the key object."""
        material = self._material(record)
        family = KEY_TYPES[record.key_type].family
        if family is Family.AES:
            return aes.AesKey(material)
        if family is Family.HMAC:
            return hmac_key.HmacKey(material)
        if family is Family.SECRET:
            return key_derivation.SecretKey(material)
        return private_keys.at_work(material)

    def _material(self, record: Record) -> bytes:
        if record.device_object:
            raise in_one_device(record)
        return self._keyring.unwrap(record.wrapped, record.true_length)

    def _wrapped_secret(self, material: bytes) -> WrappedKey:
        return self._wrapped(material, b"")

    def _wrapped_private(self, private: private_keys.PrivateKey) -> WrappedKey:
        material = private_keys.pkcs8(private)
        return self._wrapped(material, private_keys.public_info(private))

    def _wrapped(self, material: bytes, public_key: bytes) -> WrappedKey:
        version = self._keyring.version  # read once: the loop may take another one into use meanwhile
        return WrappedKey(self._keyring.wrap(material, version), len(material), public_key, version)


@cache
def own_outcome() -> Outcome:
    """Test the library once a process, which it lasts for, with keys that belong to nobody."""
    untested = SoftwareBackend(Keyring(os.urandom(MASTER_KEY_BYTES)), Outcome(IMPLEMENTED, ()))
    return prove(untested, IMPLEMENTED)


def _check_symmetric(key_type: KeyType) -> None:
    if not key_type.symmetric:
        raise Refusal(Status.BAD_REQUEST, f"a {key_type.name} key is not made this way: ask for a secret key's type")


def _check_agreed(key_type: KeyType) -> None:
    _check_symmetric(key_type)
    if key_type.size != post_quantum.SECRET_BITS:
        raise Refusal(
            Status.BAD_REQUEST, f"the new key has {post_quantum.SECRET_BITS} bits: a {key_type.name} key has others"
        )
