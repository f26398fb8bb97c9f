"""Start errors."""

from hsm_daemon.errors import StartError


def test_the_error_is_its_one_line() -> None:
    assert str(StartError("free the port")) == "free the port"
