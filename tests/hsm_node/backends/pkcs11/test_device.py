"""A token at work, in this process."""

from collections.abc import Callable

import pytest

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.core.return_values import ENCRYPTED_DATA_INVALID, Fault
from hsm_node.backends.pkcs11.device import Device, UnusableError, fault_of
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import encode_body
from hsm_wire.parameters import GcmParameters


@pytest.fixture
def session(device: Device) -> int:
    return device.session()


def made(device: Device, session: int, key_type: str) -> messages.KeyRef:
    answer = device.answer(session, messages.Generate(key_type, 1))
    assert isinstance(answer, messages.Made)
    return messages.KeyRef(key_type, answer.wrapped, 1)


def signed(device: Device, session: int, key: messages.KeyRef) -> bytes:
    answer = device.answer(session, messages.Use("sign", key, ckm.CKM_SHA256_HMAC, b"", b"data", 32))
    assert isinstance(answer, messages.Done)
    return answer.data


def test_a_key_is_loaded_once_and_anew_after_it_was_forgotten(device: Device, session: int) -> None:
    key = made(device, session, "hmac-256")
    first = signed(device, session, key)
    assert device.answer(session, messages.Forget(key)) == messages.Done(b"")
    assert signed(device, session, key) == signed(device, session, key) == first


def test_more_keys_than_there_is_room_for_push_each_other_out(
    module: Module, slot_of: Callable[[str], int], begin: messages.Begin
) -> None:
    device = Device(module, slot_of("one"))
    device.begin(begin)
    device.room.limit = 3
    [session] = device.sessions(1)
    keys = [made(device, session, "hmac-256") for _ in range(5)]
    macs = [signed(device, session, key) for key in keys]
    assert [signed(device, session, key) for key in keys] == macs
    assert len(device.room) == 3


def test_a_wrong_tag_is_the_data_s_fault_and_not_the_device_s(device: Device, session: int) -> None:
    key = made(device, session, "aes-256")
    parameters = encode_body(GcmParameters(bytes(12), b"aad"))
    with pytest.raises(DeviceError) as raised:
        device.answer(session, messages.Use("decrypt", key, ckm.CKM_AES_GCM, parameters, bytes(40), 40))
    assert raised.value.number == ENCRYPTED_DATA_INVALID
    assert fault_of(raised.value) is Fault.CALLER


def test_a_wrapped_key_that_was_changed_is_not_unwrapped(device: Device, session: int) -> None:
    key = made(device, session, "hmac-256")
    changed = messages.KeyRef(key.key_type, key.wrapped[:-1] + bytes([key.wrapped[-1] ^ 1]), 1)
    with pytest.raises(DeviceError):
        signed(device, session, changed)
    assert len(signed(device, session, key)) == 32


def test_a_token_without_the_master_key_is_unusable(
    module: Module, slot_of: Callable[[str], int], begin: messages.Begin
) -> None:
    with pytest.raises(UnusableError, match="no object labelled"):
        Device(module, slot_of("empty")).begin(begin)


def test_a_closed_session_is_the_session_s_fault(device: Device, session: int) -> None:
    device.close(session)
    device.close(session)
    with pytest.raises(DeviceError) as raised:
        device.answer(session, messages.Random(8))
    assert fault_of(raised.value) is Fault.SESSION


def test_a_key_that_is_not_kept_is_unwrapped_for_each_use(device: Device, session: int) -> None:
    key = made(device, session, "hmac-256")
    kept = signed(device, session, key)
    held = len(device.room)
    fresh = messages.KeyRef(key.key_type, key.wrapped, 1, kept=False)
    assert [signed(device, session, fresh) for _ in range(2)] == [kept] * 2
    assert len(device.room) == held
    changed = messages.KeyRef(key.key_type, bytes(len(key.wrapped)), 1, kept=False)
    with pytest.raises(DeviceError):
        signed(device, session, changed)
