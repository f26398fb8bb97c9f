from pathlib import Path

import pytest

from hsm_daemon.replaced_file import replace_file


def test_a_file_is_private_and_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "file.json"
    for content in (b"one", b"other"):
        replace_file(file, content)
        assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["file.json"]


def test_a_folder_is_made_only_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "folder" / "file", b"one", makes_folder=False)
    assert list(tmp_path.iterdir()) == []
    replace_file(tmp_path / "file", b"one", makes_folder=False)
    assert (tmp_path / "file").read_bytes() == b"one"


def test_where_it_cannot_be_written_the_old_one_stays_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "file.json"
    (folder / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match=r"file\.json"):
        replace_file(folder, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file.json"]
