"""A folder for as long as a command runs."""

import os
import signal
from pathlib import Path

import pytest

from hsmctl.failures import CommandError
from hsmctl.passing_folders import passing_folder


def test_what_a_killed_run_has_left_is_removed_and_what_another_one_uses_is_not(tmp_path: Path) -> None:
    left = tmp_path / "left-behind-x"
    left.mkdir()
    (left / "left-behind.backup").write_text("a whole backup")
    other = tmp_path / "another"
    other.mkdir()
    with passing_folder(tmp_path, "left-behind-") as one:
        assert not left.exists()
        with passing_folder(tmp_path, "left-behind-") as two:
            assert one.exists()
            assert two.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == [other]


def test_who_is_told_to_end_leaves_nothing(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as ended, passing_folder(tmp_path, "left-behind-"):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
    assert (ended.value.code, list(tmp_path.iterdir())) == (128 + signal.SIGTERM, [])
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot write .*run this as root"), passing_folder(tmp_path / "none", "x-"):
        pass
