"""A module in this process."""

from collections.abc import Callable

import pytest
from softhsm import PIN

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.module import DeviceError, Module
from hsm_node.backends.pkcs11.structures import mechanism


def test_tokens_say_who_they_are(module: Module, slot_of: Callable[[str], int]) -> None:
    token = module.token(slot_of("one"))
    assert (token.label, token.model, len(token.serial)) == ("one", "SoftHSM v2", 16)
    assert token.flags & ck.CKF_TOKEN_INITIALIZED
    assert {ck.CKM_AES_KEY_GEN, 0x210A} <= set(module.mechanisms(token.slot))


def test_an_error_names_the_call_and_the_value(module: Module) -> None:
    with pytest.raises(DeviceError, match="C_OpenSession returned CKR_SLOT_ID_INVALID") as raised:
        module.open_session(99)
    assert raised.value.number == 3


def test_objects_are_made_found_and_destroyed(module: Module, slot_of: Callable[[str], int]) -> None:
    session = module.open_session(slot_of("two"))
    module.login(session, PIN.encode())
    module.login(session, PIN.encode())
    template = {ck.CKA_LABEL: b"mine", ck.CKA_TOKEN: False, ck.CKA_VALUE_LEN: 32, ck.CKA_SENSITIVE: True}
    key = module.generate(session, mechanism(ck.CKM_AES_KEY_GEN), template)
    assert module.find(session, {ck.CKA_LABEL: b"mine"}) == [key]
    assert module.attribute(session, key, ck.CKA_LABEL) == b"mine"
    with pytest.raises(DeviceError, match="ATTRIBUTE_SENSITIVE"):
        module.attribute(session, key, ck.CKA_VALUE)
    module.destroy(session, key)
    assert module.find(session, {ck.CKA_LABEL: b"mine"}) == []
    assert len(module.random(session, 16)) == 16
    module.close_session(session)
