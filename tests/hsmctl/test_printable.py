"""Nothing from elsewhere steers a terminal."""

import pytest

from hsmctl.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("tls key é 鍵", "tls key é 鍵"),
        ("a\x1b[2Jb", r"a\x1b[2Jb"),
        ("a\nb\tc\rd\x00", r"a\nb\tc\rd\x00"),
        ("\u202egnp.exe\u2066", r"\u202egnp.exe\u2066"),
        ("zero\u200bwidth\u2028", r"zero\u200bwidth\u2028"),
        ("\U000e0041", r"\U000e0041"),
        ("\x9b31m", r"\x9b31m"),
    ],
)
def test_what_is_not_plainly_visible_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()
