"""The folder in which a promotion makes a store is nobody else's, and is found again."""

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from hsmctl.failures import CommandError
from hsmctl.promotion.work_folder import check_room, remove, work_folder

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "db").write_bytes(bytes(1000))
    return folder


def test_it_is_entered_by_its_maker_only_and_goes_with_all_that_is_in_it(data: Path) -> None:
    with work_folder(data) as work:
        place = data.parent / ".data.promotion"
        assert place.stat().st_mode & 0o777 == 0o700
        work.new.mkdir()
        (work.path / "link").symlink_to(data)
        (work.path / "file").touch()
        remove(work, data)
        assert not place.exists()
    assert (data / "db").exists()


def test_it_is_reached_whatever_has_its_name(data: Path, tmp_path: Path) -> None:
    with work_folder(data) as work:
        (data.parent / ".data.promotion").rename(tmp_path / "elsewhere")
        (data.parent / ".data.promotion").symlink_to(tmp_path / "stranger")
        (work.path / "snapshot").touch()
        assert (tmp_path / "elsewhere" / "snapshot").exists()
        remove(work, data)


def test_what_somebody_else_has_put_there_is_not_used(data: Path) -> None:
    place = data.parent / ".data.promotion"
    place.symlink_to(data)
    with pytest.raises(CommandError, match=r"\.data\.promotion: .*; remove it"), work_folder(data):
        pass
    place.unlink()
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    with pytest.raises(CommandError, match="not this user's alone"), work_folder(data):
        pass


def test_it_knows_whether_the_data_are_those_that_were_made(data: Path) -> None:
    with work_folder(data) as work:
        assert work.exchanged(data) is None
        work.new.mkdir()
        work.write_plan(3)
        assert work.exchanged(data) is None, "they have not changed places yet"
        data.rename(data.with_name("aside"))
        work.new.rename(data)
        assert work.exchanged(data) is None, "the old ones have their name already"
        data.with_name("aside").rename(work.new)
        plan = work.exchanged(data)
        assert plan is not None
        assert plan.epoch == 3
        (work.path / "plan.json").write_text("{")
        assert work.exchanged(data) is None


def test_a_disk_without_room_is_said_before_anything_begins(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(data)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 192 << 20))
    with pytest.raises(CommandError, match="192 MiB free, and two copies of the member's data need 192 MiB"):
        check_room(data)
