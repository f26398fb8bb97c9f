"""Bytes on the command line."""

import click
import pytest

from hsmctl.octets import Octets


@pytest.mark.parametrize(
    ("text", "octets"), [("", b""), ("invoice", b"invoice"), ("é", b"\xc3\xa9"), ("hex:", b""), ("hex:00FF", b"\0\xff")]
)
def test_text_is_utf_8_and_hex_digits_have_a_prefix(text: str, octets: bytes) -> None:
    assert Octets().convert(text, None, None) == octets


@pytest.mark.parametrize("text", ["hex:0", "hex:zz"])
def test_what_is_not_hex_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="hex:00ff for example"):
        Octets().convert(text, None, None)
