"""A token at work, in this process."""

from collections.abc import Callable

import pytest
from softhsm import MASTER_KEY_LABEL, PIN, SO_PIN, WRAP_MECHANISM

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11 import key_templates, messages
from hsm_node.backends.pkcs11.core.return_values import ENCRYPTED_DATA_INVALID, Fault
from hsm_node.backends.pkcs11.device import Device, UnusableError, fault_of
from hsm_node.backends.pkcs11.master_key_objects import KEKS, part_template, part_values
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.structures import mechanism
from hsm_wire import mechanisms as ckm
from hsm_wire.key_types import KEY_TYPES
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


def make_trusted(module: Module, slot: int) -> None:
    """Make a master key whose KEKs the security officer has marked: in SoftHSM2 he sees no private object, so these
    are none."""
    session = module.open_session(slot, writing=True)
    values = part_values(bytes(range(32)))
    module.login_officer(session, SO_PIN.encode())
    for kek in KEKS:
        marked = {ck.CKA_PRIVATE: False, ck.CKA_TRUSTED: True}
        module.create(session, {**part_template(MASTER_KEY_LABEL, kek, values[kek]), **marked})
    module.logout(session)
    module.login(session, PIN.encode())
    for part in set(values) - set(KEKS):
        module.create(session, part_template(MASTER_KEY_LABEL, part, values[part]))


def test_a_new_key_leaves_under_a_trusted_master_key_and_under_no_other(
    module: Module, slot_of: Callable[[str], int], begin: messages.Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_trusted(module, slot_of("trusted"))
    device = Device(module, slot_of("trusted"))
    device.begin(begin)
    assert device.unbound == ""
    session, stolen = device.session(), []
    own = {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_KEY_TYPE: ck.CKK_AES, ck.CKA_TOKEN: False, ck.CKA_WRAP: True}
    attacker = module.create(session, {**own, ck.CKA_VALUE: bytes(32)})
    wrap = module.wrap

    def listening(session: int, how: object, kek: int, key: int) -> bytes:
        """Do what somebody with the PIN could do in the moment before a new key is wrapped."""
        with pytest.raises(DeviceError, match="CKR_KEY_NOT_WRAPPABLE"):
            stolen.append(wrap(session, mechanism(WRAP_MECHANISM), attacker, key))
        return wrap(session, how, kek, key)  # type: ignore[arg-type]  # as it came

    monkeypatch.setattr(module, "wrap", listening)
    for name in ("ec-p256", "aes-256", "hmac-256"):
        assert isinstance(device.answer(session, messages.Generate(name, 1)), messages.Made)
    assert not stolen


def test_where_nobody_has_marked_the_master_key_keys_are_made_unbound_and_it_is_said(device: Device) -> None:
    assert device.unbound == "the security officer has not marked kek private as trusted"
    template = key_templates.generated(KEY_TYPES["aes-256"])
    assert device._as_made(template) == template
