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
