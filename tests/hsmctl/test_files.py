"""Files of commands."""

import hashlib
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


@pytest.mark.parametrize(("size", "hashed"), [(0, False), (10, False), (11, True), (1000, True)])
def test_what_is_large_is_hashed_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, hashed: bool
) -> None:
    monkeypatch.setattr(files, "CHUNK_BYTES", 7)
    data = bytes(range(256)) * 4
    (tmp_path / "a").write_bytes(data[:size])
    wanted = hashlib.sha256(data[:size]).digest() if hashed else data[:size]
    assert files.read_or_hash(str(tmp_path / "a"), "sha256", 10) == (wanted, hashed)


def test_standard_input_can_be_wanted_once_only() -> None:
    files.one_standard_input("-", "a", None)
    with pytest.raises(CommandError, match="standard input"):
        files.one_standard_input("-", "-")
    assert files.shown("-") == "standard input"


@pytest.mark.parametrize("path", ["folder", "folder/none"])
def test_the_way_out_is_in_the_line_of_a_file_that_cannot_be_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(CommandError, match=r"cannot read .*check the path") as caught:
        files.read_or_hash(str(tmp_path / path), "sha256", 10)
    assert caught.value.exit_code == 2


def test_a_folder_is_brought_to_the_disk_or_it_is_said(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    files.sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        files.sync_folder(tmp_path / "none")
    assert len(list(Path("/proc/self/fd").iterdir())) == before
