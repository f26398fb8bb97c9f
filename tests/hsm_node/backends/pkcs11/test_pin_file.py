"""What is known of PINs, on disk."""

from pathlib import Path

import pytest

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.pin_file import FILE, PinFile, PinFileError

INCORRECT = messages.Failed(0xA0, "C_Login")
BEGUN = messages.Begun(3, ())


def test_an_attempt_is_on_disk_before_it_is_made_and_its_end_after_it(tmp_path: Path) -> None:
    assert PinFile(tmp_path).begin("s", b"1234", 0) == ""
    assert "had no end" in PinFile(tmp_path).begin("s", b"1234", 0)
    PinFile(tmp_path).end("s", b"1234", BEGUN)
    assert PinFile(tmp_path).begin("s", b"1234", 0) == ""


def test_a_wrong_pin_is_remembered_and_what_to_do_is_said(tmp_path: Path) -> None:
    assert PinFile(tmp_path).begin("s", b"0000", 0) == ""
    PinFile(tmp_path).end("s", b"0000", INCORRECT)
    assert f"remove {tmp_path / FILE}" in PinFile(tmp_path).begin("s", b"0000", 0)


def test_what_fails_after_the_login_says_that_the_pin_was_right(tmp_path: Path) -> None:
    pins = PinFile(tmp_path)
    for answer in (messages.Failed(0xB1, "C_OpenSession"), messages.Unusable("no object")):
        assert pins.begin("s", b"1234", 0) == ""
        pins.end("s", b"1234", answer)
    assert pins.begin("s", b"1234", 0) == ""


def test_the_file_is_private_and_shows_no_pin(tmp_path: Path) -> None:
    PinFile(tmp_path).begin("s", b"987654", 0)
    content = (tmp_path / FILE).read_text()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert "987654" not in content
    assert len(content) < 200


def test_another_token_knows_nothing_of_it(tmp_path: Path) -> None:
    PinFile(tmp_path).begin("s", b"1234", 0)
    assert PinFile(tmp_path).begin("t", b"1234", 0) == ""


def test_without_a_sound_file_nothing_is_tried(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("{")
    with pytest.raises(PinFileError, match="damaged"):
        PinFile(tmp_path).begin("s", b"1234", 0)
    with pytest.raises(PinFileError, match="cannot be written"):
        PinFile(tmp_path / "none").begin("s", b"1234", 0)
