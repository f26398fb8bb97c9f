import json
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.state.state_dir import FILE_NAME, StateDir

ONE, OTHER = b"1" * 16, b"2" * 16


def test_the_first_start_makes_it_for_its_owner_only_and_takes_any_store(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())
    state.check_present(tmp_path / "no.db")
    state.check_cluster(ONE)
    state.check_epoch(3)
    assert state.epoch == 0
    state.keep(ONE, 3)
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [FILE_NAME]
    assert json.loads((tmp_path / "a" / "b" / FILE_NAME).read_text()) == {"cluster_id": ONE.hex(), "epoch": 3}


def test_a_store_of_another_cluster_or_a_lower_epoch_is_refused_and_a_higher_one_kept(tmp_path: Path) -> None:
    StateDir(tmp_path).keep(ONE, 3)
    state = StateDir(tmp_path)
    with pytest.raises(StartError, match="cluster id"):
        state.check_cluster(OTHER)
    with pytest.raises(StartError, match="epoch 2, this node has seen 3"):
        state.check_epoch(2)
    with pytest.raises(StartError, match="missing"):
        state.check_present(tmp_path / "no.db")
    state.check_cluster(ONE)
    state.check_epoch(4)
    state.keep(ONE, 4)
    assert state.epoch == 4
    state.keep(ONE, 3)  # Of a thread that was slower.
    assert state.epoch == 4
    with pytest.raises(StartError, match="epoch"):
        StateDir(tmp_path).check_epoch(3)


def test_what_has_not_changed_is_not_written(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.keep(ONE, 1)
    before = (tmp_path / FILE_NAME).stat().st_ino
    StateDir(tmp_path).keep(ONE, 1)
    assert (tmp_path / FILE_NAME).stat().st_ino == before


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"cluster_id": 1, "epoch": 1}'])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StartError, match="damaged"):
        StateDir(tmp_path)


def test_what_cannot_be_read_or_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be read"):
        StateDir(tmp_path / "file")
    (tmp_path / "state" / FILE_NAME).mkdir(parents=True)
    with pytest.raises(StartError, match="cannot be read"):
        StateDir(tmp_path / "state")
    state = StateDir(tmp_path / "new")
    (tmp_path / "new").write_text("")
    with pytest.raises(StartError, match="cannot be written"):
        state.keep(ONE, 1)
