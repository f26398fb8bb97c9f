"""Exit codes and lines of errors."""

import pytest

from hsm_client import errors
from hsmctl.failures import CommandError, exit_code_of, line_of


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
