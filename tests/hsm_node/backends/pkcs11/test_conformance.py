"""One suite over every back end: what each offers does the same, and what it lacks is refused as absent.

`LACKING`, in `columns`, is the column of a back end: exactly these usages are missing there. A back end that gains one
shortens it, and docs/backends.md is made anew.
"""

from collections.abc import Callable

import msgspec
import pytest
from columns import LACKING, TOO_SHORT

from hsm_node.backends.base import Backend
from hsm_node.backends.known_keys import MESSAGE
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import WrappedKey
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.mechanisms import MECHANISMS, Mechanism
from hsm_wire.parameters import CtrParameters, GcmParameters, IvParameters, Parameters, PssParameters
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

SLOW = ("rsa-3072", "rsa-4096", "rsa-6144", "rsa-8192")
"""Types whose generation says nothing that the first of the family does not, and takes long."""
PSS = PssParameters(ckm.CKM_SHA256, 2, 32)
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420") + bytes(32)


@pytest.fixture(scope="module", params=sorted(LACKING))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def any_backend(name: str, request: pytest.FixtureRequest) -> Backend:
    made: Backend = (
        SoftwareBackend(Keyring(bytes(range(32)))) if name == "software" else request.getfixturevalue("backend")
    )
    return made


def rows_of(key_type: KeyType, backend: Backend, usage: Usage) -> list[Mechanism]:
    offered = [number for number, usages in backend.offered.items() if usages & usage]
    return [MECHANISMS[number] for number in offered if key_type.family in MECHANISMS[number].families]


def data_for(mechanism: Mechanism) -> tuple[Parameters | None, bytes]:
    if mechanism.number == ckm.CKM_RSA_PKCS:
        return None, DIGEST_INFO
    if mechanism.number == ckm.CKM_RSA_PKCS_PSS:
        return PSS, bytes(32)
    return None, bytes(32) if mechanism.number == ckm.CKM_ECDSA else MESSAGE


def counter_of(block: bytes) -> Parameters:
    return CtrParameters(counter_block=block)


def test_the_table_says_what_is_missing_and_nothing_else(name: str, any_backend: Backend) -> None:
    missing = {number: usages & ~any_backend.offered.get(number, Usage(0)) for number, usages in IMPLEMENTED.items()}
    assert {number: usages for number, usages in missing.items() if usages} == LACKING[name]


@pytest.mark.parametrize("key_type", [row for row in KEY_TYPES if row not in SLOW])
def test_a_key_does_what_is_offered_for_its_type(
    name: str, any_backend: Backend, key_type: str, make_record: Callable[..., Record]
) -> None:
    row = KEY_TYPES[key_type]
    if key_type not in any_backend.key_types:
        with pytest.raises(Refusal) as raised:
            any_backend.generate(row)
        assert (raised.value.status, raised.value.not_executed) == (Status.MECHANISM_NOT_HERE, True)
        return
    made: WrappedKey = any_backend.generate(row)
    record = make_record(key_type=key_type, key_id=key_type.encode(), **msgspec.structs.asdict(made))
    key = any_backend.load(record)
    for mechanism in rows_of(row, any_backend, Usage.SIGN):
        parameters, data = data_for(mechanism)
        if (key_type, mechanism.number) in TOO_SHORT[name]:
            with pytest.raises(Refusal) as raised:
                key.sign(mechanism.number, parameters, data)
            assert (raised.value.status, raised.value.not_executed) == (Status.MECHANISM_NOT_HERE, True)
            continue
        signature = key.sign(mechanism.number, parameters, data)
        key.verify(mechanism.number, parameters, data, signature)
        with pytest.raises(Refusal) as raised:
            key.verify(mechanism.number, parameters, data, bytes(len(signature)))
        assert raised.value.status is Status.BAD_SIGNATURE, mechanism.name
    if row in [KEY_TYPES[name] for name in ("aes-128", "aes-192", "aes-256")]:
        secret, nonce = key.encrypt(ckm.CKM_AES_GCM, None, MESSAGE, caller_iv=False)
        assert key.decrypt(ckm.CKM_AES_GCM, GcmParameters(nonce), secret) == MESSAGE
        for number, form in ((ckm.CKM_AES_CBC_PAD, IvParameters), (ckm.CKM_AES_CTR, counter_of)):
            for length in (0, 1, 16, 100):
                secret, used = key.encrypt(number, None, bytes(length), caller_iv=False)
                assert key.decrypt(number, form(used), secret) == bytes(length)
        with pytest.raises(Refusal) as raised:
            key.decrypt(ckm.CKM_AES_CBC_PAD, IvParameters(bytes(16)), bytes(16))
        assert raised.value.status is Status.BAD_DATA
    any_backend.forget(*record.place)


@pytest.mark.parametrize("key_type", [row for row in KEY_TYPES if row not in SLOW])
@pytest.mark.parametrize("maker_name", ["software", "softhsm"])
def test_in_a_mixed_cluster_either_uses_what_the_other_has_made(
    request: pytest.FixtureRequest, maker_name: str, key_type: str, make_record: Callable[..., Record]
) -> None:
    software, device = SoftwareBackend(Keyring(bytes(range(32)))), request.getfixturevalue("backend")
    maker, user = (software, device) if maker_name == "software" else (device, software)
    row = KEY_TYPES[key_type]
    if key_type not in maker.key_types:
        assert maker is device  # The other test has seen it refused.
        return
    made = maker.generate(row)
    record = make_record(key_type=key_type, key_id=b"mixed " + key_type.encode(), **msgspec.structs.asdict(made))
    if key_type not in user.key_types:
        with pytest.raises(Refusal) as raised:
            user.load(record)
        assert (raised.value.status, raised.value.not_executed) == (Status.MECHANISM_NOT_HERE, True)
        return
    for one, other in ((maker.load(record), user.load(record)), (user.load(record), maker.load(record))):
        for mechanism in rows_of(row, device, Usage.SIGN):
            parameters, data = data_for(mechanism)
            if (key_type, mechanism.number) not in TOO_SHORT["softhsm"]:
                other.verify(mechanism.number, parameters, data, one.sign(mechanism.number, parameters, data))
        if rows_of(row, device, Usage.DECRYPT) and row.symmetric:
            secret, nonce = one.encrypt(ckm.CKM_AES_GCM, None, MESSAGE, caller_iv=False)
            assert other.decrypt(ckm.CKM_AES_GCM, GcmParameters(nonce), secret) == MESSAGE
            secret, iv = one.encrypt(ckm.CKM_AES_CBC_PAD, None, MESSAGE, caller_iv=False)
            assert other.decrypt(ckm.CKM_AES_CBC_PAD, IvParameters(iv), secret) == MESSAGE
    for backend in (maker, user):
        backend.forget(*record.place)
