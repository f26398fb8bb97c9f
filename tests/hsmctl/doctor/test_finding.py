"""One thing that is wrong, and what to do about it."""

from hsmctl.doctor.finding import from_line


def test_an_error_line_of_ours_has_its_advice_behind_the_last_semicolon() -> None:
    found = from_line("c", "s", "it broke; twice; mend it", "look")
    assert (found.severity, found.wrong, found.advice) == ("error", "it broke; twice", "mend it")


def test_a_line_without_advice_gets_some() -> None:
    found = from_line("c", "s", "it broke", "look")
    assert (found.wrong, found.advice) == ("it broke", "look")
