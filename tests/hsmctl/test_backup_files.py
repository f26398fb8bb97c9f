"""Files of backups: what is read, what is written, what is removed."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from backup_parts import CONTENT, HEADER_BODY, PARTS
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire.backup_files import (
    HEAD,
    HEADER,
    PART_HEAD,
    BackupFileError,
)
from hsm_wire.backup_messages import BackupPart
from hsmctl.backup_files import NewFile, abandoned_ones, header_of, name_in, older_ones, parts_of
from hsmctl.failures import USAGE, CommandError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.backup"
    path.write_bytes(CONTENT)
    return path


def test_parts_are_read_one_by_one_and_the_first_says_whose_backup_it_is(file: Path) -> None:
    parts = parts_of(file)
    assert header_of(next(parts)) == HEADER_BODY
    assert list(parts) == PARTS[1:]


def test_a_file_that_was_cut_anywhere_is_none(file: Path) -> None:
    for length in range(len(CONTENT)):
        file.write_bytes(CONTENT[:length])
        with pytest.raises(BackupFileError, match="ends too early|no backup"):
            list(parts_of(file))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda data: data + b"x", "it goes on behind its end"),
        (lambda data: data[:15] + b"\0" + data[16:], "its format is 0, and this version reads 1"),
        (lambda data: data[:15] + b"\2" + data[16:], "its format is 2, and this version reads 1"),
        (lambda data: data[:16] + b"\7" + data[17:], "it is damaged"),
        (lambda data: data[:17] + b"\xff" + data[18:], "it is damaged"),
        (lambda _data: b"SQLite format 3\0", "it is no backup"),
    ],
)
def test_what_has_another_form_is_named(file: Path, harm: Callable[[bytes], bytes], said: str) -> None:
    file.write_bytes(harm(CONTENT))
    with pytest.raises(BackupFileError, match=said):
        list(parts_of(file))


@given(st.integers(0, len(CONTENT) * 8 - 1))
def test_one_bit_anywhere_makes_another_file_or_none(tmp_path_factory: pytest.TempPathFactory, bit: int) -> None:
    changed = bytearray(CONTENT)
    changed[bit // 8] ^= 1 << bit % 8
    path = tmp_path_factory.getbasetemp() / "flipped.backup"
    path.write_bytes(changed)
    with contextlib.suppress(BackupFileError):
        assert list(parts_of(path)) != PARTS


@pytest.mark.parametrize("part", [PARTS[1], BackupPart(HEADER, b"\x90", b"")])
def test_what_is_no_header_says_nothing(part: BackupPart) -> None:
    with pytest.raises(BackupFileError, match="damaged"):
        header_of(part)


def test_a_file_that_cannot_be_read_is_usage(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot read .*No such file") as error:
        list(parts_of(tmp_path / "missing"))
    assert error.value.exit_code == USAGE


def test_a_new_file_is_its_owners_alone_and_has_its_name_when_it_is_whole(tmp_path: Path) -> None:
    new = NewFile(tmp_path / "x.backup")
    new.add(b"part")
    assert not new.path.exists()
    assert new.written.stat().st_mode & 0o777 == 0o600
    new.finish()
    new.keep()
    new.drop()
    assert new.path.read_bytes() == HEAD + b"part"
    assert new.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["x.backup"]


def test_one_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".x.backup.new").write_text("left over by a run that was killed")
    new = NewFile(tmp_path / "x.backup")
    new.add(b"part")
    new.drop()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over_and_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.backup").write_text("kept")
    with pytest.raises(CommandError, match="there is a file of that name") as error:
        NewFile(tmp_path / "x.backup")
    assert error.value.exit_code == USAGE
    assert (tmp_path / "x.backup").read_text() == "kept"
    with pytest.raises(CommandError, match="cannot write .*No such file"):
        NewFile(tmp_path / "missing" / "x.backup")


def test_a_file_in_a_folder_is_named_by_cluster_and_time(tmp_path: Path) -> None:
    assert name_in(tmp_path, "a-b", 1_800_000_000).name == "redoubt-a-b-20270115T080000Z.backup"


def test_older_ones_of_the_same_cluster_go_and_nothing_else(tmp_path: Path) -> None:
    day = 86_400
    newest = name_in(tmp_path, "dev", 1_800_000_000)
    kept = [
        newest,
        name_in(tmp_path, "dev", 1_800_000_000 - 10 * day),
        name_in(tmp_path, "dev-2", 1_800_000_000 - 20 * day),
        tmp_path / "redoubt-dev-20260230T080000Z.backup",
        tmp_path / "redoubt-dev-20200101T080000Z.backup.copy",
        tmp_path / "by-hand.backup",
    ]
    young = name_in(tmp_path, "dev", 1_800_000_000 - day)
    old = [name_in(tmp_path, "dev", 1_800_000_000 - 10 * day - 1), name_in(tmp_path, "dev", 1_000_000_000)]
    for path in (*kept, young, *old):
        path.touch()
    assert sorted(older_ones(newest, 10)) == sorted(old)
    assert older_ones(name_in(tmp_path, "new", 1_800_000_000), 1) == []


def test_a_clock_that_is_ahead_removes_not_all_older_ones(tmp_path: Path) -> None:
    day = 86_400
    files = [name_in(tmp_path, "dev", 1_800_000_000 + number * day) for number in range(6)]
    for path in files:
        path.touch()
    assert older_ones(name_in(tmp_path, "dev", 1_900_000_000), 10) == files[:-2]


def test_what_a_killed_run_has_begun_is_found_after_a_day(tmp_path: Path) -> None:
    newest, old = name_in(tmp_path, "dev", 1_800_000_000), name_in(tmp_path, "dev", 1_700_000_000)
    begun = tmp_path / f".{old.name}.new"
    for path in (
        begun,
        tmp_path / f".{name_in(tmp_path, 'dev-2', 1_700_000_000).name}.new",
        tmp_path / ".mine.new",
        old,
    ):
        path.touch()
    now = begun.stat().st_mtime
    assert abandoned_ones(newest, now + 60) == []
    assert abandoned_ones(newest, now + 90_000) == [begun]


def test_the_head_of_a_part_is_five_bytes() -> None:
    assert PART_HEAD.size == 5
