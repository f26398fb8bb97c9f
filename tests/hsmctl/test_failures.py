"""Exit codes and lines of errors."""

import pytest

from hsm_client import errors
from hsm_wire.statuses import STATUS_TABLE, Status
from hsmctl.failures import (
    PUBLIC_TYPES,
    CommandError,
    advice_for,
    exit_code_of,
    line_of,
    wants_fitting_file,
    wants_key_pair,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (CommandError("x"), 1),
        (CommandError("x", 2), 2),
        (errors.ConfigurationError("x"), 2),
        (errors.ClusterUnreachable("x"), 3),
        (errors.KeyNotFound("x"), 1),
        (errors.Unavailable("x"), 1),
    ],
)
def test_every_kind_of_error_has_its_exit_code(error: Exception, code: int) -> None:
    assert exit_code_of(error) == code


def test_an_error_is_one_line_even_if_it_says_nothing() -> None:
    assert line_of(CommandError("a\n b")) == "a b"
    assert line_of(CommandError("")) == "CommandError"


@pytest.mark.parametrize("status", [row.status for row in STATUS_TABLE.values() if row.advice != "Nothing."])
def test_a_short_refusal_of_a_node_gets_what_to_do_behind_it(status: Status) -> None:
    line = line_of(errors.make_error(status, "this is wrong."))
    assert line == f"this is wrong; {advice_for(status)}"
    assert not line.endswith(".")


def test_a_text_that_says_what_to_do_is_left_alone() -> None:
    assert line_of(errors.make_error(Status.OVERLOADED, "it is full; wait")) == "it is full; wait"
    assert line_of(errors.make_error(Status.KEY_TYPE, "")).count("hoose a mechanism") == 1
    assert line_of(errors.make_error(0x0999, "odd")) == "odd"
    assert line_of(errors.make_error(Status.CANCELLED, "gone")) == "gone"


def test_mechanisms_are_named_as_on_the_command_line() -> None:
    assert (
        line_of(errors.make_error(Status.KEY_TYPE, "CKM_EDDSA is not it; or CKM_NEW")) == "eddsa is not it; or CKM_NEW"
    )


def test_a_file_that_the_cluster_cannot_take_is_wrong_usage() -> None:
    with pytest.raises(CommandError, match="a digest has 32 bytes") as caught, wants_fitting_file():
        raise errors.BadData("a digest has 32 bytes", status=Status.BAD_DATA)
    assert caught.value.exit_code == 2


def test_who_names_a_key_without_a_public_part_is_told_which_have_one() -> None:
    with pytest.raises(CommandError, match="tls does not do: none; name a key of type"), wants_key_pair("tls"):
        raise errors.KeyType("none", status=Status.KEY_TYPE)
    with pytest.raises(CommandError, match="X25519, ML-DSA or ML-KEM$"), wants_key_pair("tls", PUBLIC_TYPES):
        raise errors.KeyType("none", status=Status.KEY_TYPE)
