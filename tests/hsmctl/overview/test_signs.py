"""Signs of states."""

import pytest

from hsmctl.overview import signs


@pytest.mark.parametrize(
    ("state", "administrative", "shown"),
    [
        ("up", "ready", "● up"),
        ("stale", "ready", "▲ stale"),
        ("down", "ready", "✗ down"),
        ("of a later version", "ready", "✗ of a later version"),
        ("up", "drain", "◌ drain, up"),
        ("\x1b[2J", "ready", "✗ \\x1b[2J"),
    ],
)
def test_a_state_has_a_sign_and_its_word(state: str, administrative: str, shown: str) -> None:
    assert signs.state(state, administrative).plain == shown


def test_no_two_healths_and_no_two_severities_share_a_sign() -> None:
    for table in (signs.HEALTH, signs.SEVERITY):
        assert len({sign for sign, _ in table.values()}) == len(table) == 3
