"""What a proxy's host remembers over restarts."""

import json
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from proxy.epoch_file import FILE_NAME, EpochFile

ID = b"c" * 16


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = EpochFile(folder)
    assert (first.cluster_id, first.epoch, list(tmp_path.iterdir())) == (b"", 0, [])
    assert first.keep(ID, 2) == ""
    second = EpochFile(folder)
    assert (second.cluster_id, second.epoch) == (ID, 2)
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]
    assert json.loads((folder / FILE_NAME).read_text()) == {"cluster_id": ID.hex(), "epoch": 2}


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be read"):
        EpochFile(tmp_path / "file")
    kept = EpochFile(tmp_path / "folder")
    (tmp_path / "folder").write_text("")
    assert "File exists" in kept.keep(ID, 1)
    for content in ('{"cluster_id": 1}', '{"cluster_id": "xy", "epoch": 1}', ""):
        (tmp_path / FILE_NAME).write_text(content)
        with pytest.raises(StartError, match=r"epoch\.json: it is damaged"):
            EpochFile(tmp_path)


def test_a_worker_that_is_late_does_not_lower_what_another_one_has_written(tmp_path: Path) -> None:
    quick, late = EpochFile(tmp_path), EpochFile(tmp_path)
    assert quick.keep(ID, 5) == ""
    assert late.keep(ID, 4) == ""
    assert EpochFile(tmp_path).epoch == 5
    assert late.keep(b"d" * 16, 1) == "", "another store has epochs of its own"
    assert EpochFile(tmp_path).epoch == 1
    (tmp_path / FILE_NAME).write_text("damaged meanwhile")
    assert quick.keep(ID, 6) == ""
    assert EpochFile(tmp_path).epoch == 6
