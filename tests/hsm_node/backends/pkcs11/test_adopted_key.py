"""Keys that were in a token before: used where they are, and nowhere else. SoftHSM2 does not wrap Ed25519."""

from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from softhsm import CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS25519, PIN

from hsm_node.backends.base import Outcome
from hsm_node.backends.known_keys import temporary_record
from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.backend import Pkcs11Backend
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.module import Module
from hsm_node.backends.pkcs11.structures import Template, mechanism
from hsm_node.backends.software import SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.statuses import Status

EDWARDS: Final = KEY_TYPES["ed25519"]
PARTITION: Final = 1
P256: Final = bytes.fromhex("06082a8648ce3d030107")


def make_pair(module: Module, slot: int, label: str, how: int, parameters: bytes) -> None:
    """Make a key as some other program would have long ago."""
    session = module.open_session(slot, writing=True)
    module.login(session, PIN.encode())
    common: Template = {ck.CKA_TOKEN: True, ck.CKA_LABEL: label.encode()}
    private: Template = {**common, ck.CKA_PRIVATE: True, ck.CKA_SENSITIVE: True, ck.CKA_EXTRACTABLE: False}
    public: Template = {**common, ck.CKA_VERIFY: True, ck.CKA_EC_PARAMS: parameters}
    module.generate_pair(session, mechanism(how), public, {**private, ck.CKA_SIGN: True})
    module.close_session(session)


@pytest.fixture(scope="module")
def adopting(module: Module, slot_of: Callable[[str], int], link: DeviceLink, device_keyring: Keyring) -> Pkcs11Backend:
    """Token `one` with objects that its node may adopt."""
    make_pair(module, slot_of("one"), "legacy", CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS25519)
    make_pair(module, slot_of("one"), "twice", CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS25519)
    make_pair(module, slot_of("one"), "twice", CKM_EC_EDWARDS_KEY_PAIR_GEN, EDWARDS25519)
    make_pair(module, slot_of("one"), "curve", 0x1040, P256)
    names = ("legacy", "twice", "curve", "missing", "redoubt kek private")
    return Pkcs11Backend(link, device_keyring, Outcome({}, ()), [(PARTITION, name) for name in names])


def record_of(backend: Pkcs11Backend, label: str, key_type: str = "ed25519") -> Record:
    made = backend.adopt(PARTITION, KEY_TYPES[key_type], label)
    record = temporary_record(key_type, made)
    return msgspec.structs.replace(record, device_object=label, adopted_at="node-1", key_id=label.encode().ljust(16))


def refused(ask: Callable[[], object]) -> str:
    with pytest.raises(Refusal) as raised:
        ask()
    assert (raised.value.status, raised.value.not_executed) == (Status.MECHANISM_NOT_HERE, True)
    return str(raised.value)


def test_a_key_that_was_there_signs_where_it_is_again_and_again_and_stays_there(adopting: Pkcs11Backend) -> None:
    record = record_of(adopting, "legacy")
    assert record.wrapped == b""
    key = adopting.load(record)
    for _ in range(2):
        signature = key.sign(ckm.CKM_EDDSA, None, b"data")
        key.verify(ckm.CKM_EDDSA, None, b"data", signature)
        with pytest.raises(Refusal, match="does not verify"):
            key.verify(ckm.CKM_EDDSA, None, b"other", signature)
        assert adopting.fresh(record).sign(ckm.CKM_EDDSA, None, b"data") == signature
        adopting.forget(record.partition, record.key_id)
    curve = record_of(adopting, "curve", "ec-p256")
    assert len(adopting.load(curve).sign(ckm.CKM_ECDSA_SHA256, None, b"data")) == 64


def test_what_is_no_such_key_is_not_adopted(adopting: Pkcs11Backend) -> None:
    assert "lets nobody" in refused(lambda: adopting.adopt(2, EDWARDS, "legacy"))
    assert "lets nobody" in refused(lambda: adopting.adopt(PARTITION, EDWARDS, "another"))
    for label in ("missing", "twice", "curve", "redoubt kek private"):
        refused(lambda label=label: adopting.adopt(PARTITION, EDWARDS, label))  # type: ignore[misc]  # bound at once
    refused(lambda: adopting.adopt(PARTITION, KEY_TYPES["ec-p384"], "curve"))


def test_another_key_of_that_label_signs_nothing(adopting: Pkcs11Backend) -> None:
    other = temporary_record("ed25519", SoftwareBackend(Keyring(bytes(32)), Outcome({}, ())).generate(EDWARDS))
    record = msgspec.structs.replace(record_of(adopting, "legacy"), public_key=other.public_key, key_id=b"o" * 16)
    assert "another key" in refused(lambda: adopting.load(record).sign(ckm.CKM_EDDSA, None, b"data"))


def test_a_node_without_that_device_has_it_not(adopting: Pkcs11Backend) -> None:
    software = SoftwareBackend(Keyring(bytes(32)), Outcome({}, ()))
    assert "node-1" in refused(lambda: software.load(record_of(adopting, "legacy")))
    refused(lambda: software.adopt(PARTITION, EDWARDS, "legacy"))
