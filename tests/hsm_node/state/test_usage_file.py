"""What partitions have used, on disk."""

import sqlite3
from pathlib import Path

import pytest

from hsm_cluster.usage import Row
from hsm_node.state.usage_file import FILE_NAME, UsageFile, UsageFileError

ROWS = [Row("a", 1, 100, 5, 1), Row("b", 2, 101, 6, 0)]


def test_what_was_written_is_there_and_of_two_counts_the_larger(tmp_path: Path) -> None:
    file = UsageFile(tmp_path)
    assert file.load() == []
    file.write(ROWS, 0)
    file.write([Row("a", 1, 100, 4, 9)], 0)
    file.close()
    again = UsageFile(tmp_path)
    assert sorted(again.load()) == [Row("a", 1, 100, 5, 9), ROWS[1]]
    again.close()


def test_what_is_old_goes(tmp_path: Path) -> None:
    file = UsageFile(tmp_path)
    file.write(ROWS, 0)
    file.write([], 101)
    assert file.load() == [ROWS[1]]
    file.close()


@pytest.mark.parametrize("content", [b"rubbish" * 1000, None])
def test_a_file_that_is_damaged_or_something_else_is_put_aside(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / FILE_NAME
    if content is None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA user_version = 7")
        other.close()
    else:
        path.write_bytes(content)
    file = UsageFile(tmp_path)
    with pytest.raises(UsageFileError, match=r"it is usage\.damaged now"):
        file.load()
    assert (tmp_path / "usage.damaged").exists()
    file.write(ROWS, 0)
    assert len(file.load()) == 2
    file.close()


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = UsageFile(tmp_path / "nowhere")
    with pytest.raises(UsageFileError, match=FILE_NAME):
        file.write(ROWS, 0)
    file.close()
