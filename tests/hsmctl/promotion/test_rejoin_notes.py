"""What a run of rejoin notes for the next one."""

from pathlib import Path

import pytest

from hsmctl.failures import CommandError
from hsmctl.promotion.rejoin_notes import Note, RejoinNotes


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "node-1", tmp_path / "node-2"]
    for folder in made:
        folder.mkdir()
        (folder / "seen.db").write_text(folder.name)
    return made


def test_each_node_forgets_once_and_keeps_what_it_has_seen_since(folders: list[Path]) -> None:
    notes = RejoinNotes(folders)
    assert notes.found is None
    notes.begin(Note("dev", "/old"))
    notes.forget()
    (folders[0] / "seen.db").write_text("of the promoted store")
    notes.begin(Note("dev", "/old"))
    notes.forget()
    assert notes.found == Note("dev", "/old", forgotten=True)
    assert (folders[0] / "seen.db").read_text() == "of the promoted store"
    assert [(folder / "seen.db.before-rejoin").read_text() for folder in folders] == ["node-1", "node-2"]
    notes.end()
    assert notes.found is None


def test_a_note_of_another_run_is_replaced(folders: list[Path]) -> None:
    notes = RejoinNotes(folders)
    notes.begin(Note("dev", "/old"))
    notes.forget()
    notes.begin(Note("dev", "/old.2"))
    assert notes.found == Note("dev", "/old.2")


def test_a_note_that_cannot_be_used_is_named(folders: list[Path]) -> None:
    notes = RejoinNotes(folders)
    (folders[0] / "rejoin.json").write_text("{")
    with pytest.raises(CommandError, match="is damaged; remove it"):
        _ = notes.found
    (folders[0] / "rejoin.json").unlink()
    (folders[0] / "rejoin.json").mkdir()
    with pytest.raises(CommandError, match=r"cannot read .*run this as root"):
        _ = notes.found
    with pytest.raises(CommandError, match=r"cannot read|cannot write"):
        notes.begin(Note("dev"))
    with pytest.raises(CommandError, match="run this as root"):
        RejoinNotes([folders[0] / "none"]).begin(Note("dev"))
