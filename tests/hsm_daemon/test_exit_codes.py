"""Exit codes of the contract."""

from hsm_daemon import exit_codes


def test_exit_codes_are_those_of_the_contract() -> None:
    assert (exit_codes.OK, exit_codes.FAILED, exit_codes.CONFIGURATION) == (0, 1, 2)
