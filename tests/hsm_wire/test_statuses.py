import pytest

from hsm_wire.statuses import STATUS_TABLE, Status, StatusClass, maybe_status, status_class, status_name


def test_every_status_has_exactly_one_row_with_words_for_the_caller() -> None:
    assert set(STATUS_TABLE) == set(Status)
    for row in STATUS_TABLE.values():
        assert row.meaning.endswith(".")
        assert row.advice.endswith(".")


@pytest.mark.parametrize("status", list(Status))
def test_the_high_byte_is_the_class(status: Status) -> None:
    assert StatusClass(status_class(status)) == status >> 8


def test_statuses_of_the_contract_are_there() -> None:
    names = (
        "OK OK_UNCONFIRMED OK_DR_PENDING BAD_REQUEST UNKNOWN_OPERATION TOO_LARGE DUPLICATE_ID DENIED OVER_QUOTA "
        "KEY_NOT_FOUND KEY_EXISTS KEY_DISABLED KEY_USAGE BAD_SIGNATURE BAD_DATA DEVICE_ERROR MECHANISM_NOT_HERE "
        "OVERLOADED POISON UNAVAILABLE TIMEOUT CANCELLED GOING_AWAY NOT_CURRENT STORE_UNAVAILABLE"
    )
    assert set(names.split()) <= set(Status.__members__)


def test_the_callers_own_errors_are_neither_sent_again_nor_elsewhere() -> None:
    for status, row in STATUS_TABLE.items():
        if status_class(status) in (StatusClass.OK, StatusClass.REQUEST, StatusClass.KEY):
            assert not row.resend
            assert not row.elsewhere


def test_a_poisonous_request_is_not_sent_again() -> None:
    assert not STATUS_TABLE[Status.POISON].resend
    assert not STATUS_TABLE[Status.POISON].elsewhere


def test_a_number_of_a_later_version_has_a_class_and_no_name() -> None:
    assert maybe_status(0x0301) is Status.KEY_NOT_FOUND
    assert maybe_status(0x03FF) is None
    assert status_class(0x03FF) == StatusClass.KEY
    assert (status_name(0x0301), status_name(0x03FF)) == ("KEY_NOT_FOUND", "0x03ff")
