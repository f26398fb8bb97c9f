"""What a ceremony does at a token; token `joined` has made its own master key (see `conftest`)."""

from collections.abc import Callable

import pytest
from softhsm import MASTER_KEY_LABEL, PIN, SO_PIN, WRAP_MECHANISM

from hsm_node.backends.pkcs11.ceremony_token import CeremonyError, CeremonyToken, WrappedParts, check_value
from hsm_node.backends.pkcs11.module import Module

MASTER_KEY = bytes(range(32))
At = Callable[[str, str], CeremonyToken]


@pytest.fixture
def at(module: Module, slot_of: Callable[[str], int]) -> At:
    """Work at a token, with a label of master keys."""

    def open_token(token: str, label: str) -> CeremonyToken:
        session = module.open_session(slot_of(token), writing=True)
        module.login(session, PIN.encode())
        return CeremonyToken(module, session, label, WRAP_MECHANISM)

    return open_token


def test_the_check_value_is_that_of_software_and_another_key_has_another(at: At) -> None:
    values = [at(token, MASTER_KEY_LABEL).check_value() for token in ("one", "two", "joined")]
    assert values[0] == values[1] == check_value(MASTER_KEY) != values[2]


def test_a_token_that_has_the_key_is_not_new_and_one_without_has_no_check_value(at: At) -> None:
    with pytest.raises(CeremonyError, match="already"):
        at("one", MASTER_KEY_LABEL).check_new()
    at("one", "other").check_new()
    with pytest.raises(CeremonyError, match="0 objects 'other kek private'"):
        at("one", "other").check_value()


def test_what_was_wrapped_for_another_token_is_not_taken_and_nothing_stays(at: At) -> None:
    token = at("empty", "wrong")
    with pytest.raises(CeremonyError, match="no transport key"):
        token.take(WrappedParts(b"", b"", b""))
    token.transport_key()
    with pytest.raises(CeremonyError, match="not wrapped for this token"):
        token.take(WrappedParts(bytes(384), bytes(384), bytes(384)))
    token.drop_transport_key()
    token.check_new()


def test_values_are_wrapped_to_rsa_keys_that_are_long_enough_alone(at: At) -> None:
    token = at("empty", "wrong")
    made = token.make()
    with pytest.raises(CeremonyError, match="RSA with 2048 bits"):
        token.wrapped(made, token.witness())
    token.forget(made)


def test_the_witness_stays_the_same(at: At) -> None:
    assert at("empty", "wrong").witness() == at("empty", "wrong").witness()


def test_an_officer_who_does_not_see_the_keys_marks_none_and_a_wrong_pin_is_tried_once(at: At) -> None:
    token = at("two", MASTER_KEY_LABEL)
    with pytest.raises(CeremonyError, match="CKR_PIN_INCORRECT"):
        token.trust(b"wrong-officer-pin")
    again = at("two", MASTER_KEY_LABEL)
    assert again.trust(SO_PIN.encode()) == "the security officer does not see kek private"
    assert at("two", MASTER_KEY_LABEL).check_value() == check_value(MASTER_KEY)
