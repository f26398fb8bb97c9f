"""Files of commands."""

import stat
from pathlib import Path

import pytest

from hsmctl import files
from hsmctl.failures import CommandError


def test_what_was_written_is_read(tmp_path: Path) -> None:
    files.write_output(str(tmp_path / "a"), b"data")
    assert files.read_input(str(tmp_path / "a")) == b"data"


def test_a_missing_file_or_folder_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"cannot read .*check the path"):
        files.read_input(str(tmp_path / "none"))
    with pytest.raises(CommandError, match=r"cannot write .*check the path"):
        files.write_output(str(tmp_path / "none" / "a"), b"")


def test_a_file_above_the_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_INPUT_BYTES", 3)
    (tmp_path / "a").write_bytes(b"four")
    with pytest.raises(CommandError, match="name a smaller file"):
        files.read_input(str(tmp_path / "a"))


def test_a_replaced_file_has_its_mode_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    for data in (b"one", b"two"):
        files.replace_file(path, data, 0o600)
        assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (data, 0o600)
    assert list(tmp_path.iterdir()) == [path]
