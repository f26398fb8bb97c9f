"""When a PIN may be tried."""

import pytest

from hsm_node.backends.pkcs11 import cryptoki as ck
from hsm_node.backends.pkcs11.core.pin_memory import PinMemory, begun, ended, objection
from hsm_node.backends.pkcs11.core.return_values import OK

NEW = PinMemory("serial")
INCORRECT, LOCKED, DEVICE_ERROR = 0xA0, 0xA4, 0x30
RIGHT, WRONG, OTHER, THIRD = 1, 2, 3, 4


def tried(memory: PinMemory, mark: int, returned: int) -> PinMemory:
    assert objection(memory, mark, 0) == ""
    return ended(begun(memory, mark), mark, returned)


def test_a_right_pin_is_tried_as_often_as_the_node_starts() -> None:
    memory = NEW
    for _ in range(10):
        memory = tried(memory, RIGHT, OK)
    assert memory == PinMemory("serial", accepted=RIGHT)


@pytest.mark.parametrize("returned", [INCORRECT, LOCKED])
def test_a_wrong_pin_is_tried_once(returned: int) -> None:
    memory = tried(NEW, WRONG, returned)
    assert "refused this PIN" in objection(memory, WRONG, 0)
    assert objection(memory, RIGHT, 0) == ""


def test_two_wrong_values_are_enough() -> None:
    memory = tried(tried(NEW, WRONG, INCORRECT), OTHER, INCORRECT)
    assert "refused 2 PINs" in objection(memory, THIRD, 0)


def test_a_right_one_makes_the_wrong_ones_forgotten() -> None:
    memory = tried(tried(NEW, WRONG, INCORRECT), RIGHT, OK)
    assert objection(memory, WRONG, 0) == ""


def test_a_pin_that_was_right_and_is_wrong_now_is_not_tried_again() -> None:
    memory = tried(tried(NEW, RIGHT, OK), RIGHT, INCORRECT)
    assert (memory.accepted, memory.refused) == (None, (RIGHT,))


@pytest.mark.parametrize("flag", [ck.CKF_USER_PIN_LOCKED, ck.CKF_USER_PIN_FINAL_TRY])
def test_nothing_is_tried_where_the_token_says_that_it_may_lock(flag: int) -> None:
    for memory in (NEW, PinMemory("serial", accepted=RIGHT)):
        assert objection(memory, RIGHT, flag) != ""


def test_an_attempt_whose_end_nobody_saw_counts_as_wrong_for_a_new_pin() -> None:
    memory = begun(NEW, WRONG)
    assert "had no end" in objection(memory, WRONG, 0)
    assert objection(memory, RIGHT, 0) == ""
    again = tried(memory, OTHER, INCORRECT)
    assert again.refused == (WRONG, OTHER)


def test_an_attempt_whose_end_nobody_saw_is_made_again_with_a_pin_that_was_right() -> None:
    memory = begun(PinMemory("serial", accepted=RIGHT), RIGHT)
    assert objection(memory, RIGHT, 0) == ""
    assert "counted a wrong PIN" in objection(memory, RIGHT, ck.CKF_USER_PIN_COUNT_LOW)
    assert objection(PinMemory("serial", accepted=RIGHT), RIGHT, ck.CKF_USER_PIN_COUNT_LOW) == ""


def test_an_error_of_the_device_is_no_end() -> None:
    memory = begun(NEW, WRONG)
    assert ended(memory, WRONG, DEVICE_ERROR) == memory


@pytest.mark.parametrize("crashes", range(1, 30))
def test_however_often_a_node_dies_in_its_login_a_wrong_value_is_tried_once(crashes: int) -> None:
    attempts, memory = 0, NEW
    for _ in range(crashes):
        if not objection(memory, WRONG, 0):
            attempts += 1
            memory = begun(memory, WRONG)
    assert attempts == 1
