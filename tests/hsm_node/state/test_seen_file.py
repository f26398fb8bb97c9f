"""seen.db: the ledger on disk."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import Ledger
from hsm_node.state.seen_file import FILE_NAME, DisplacedError, SeenFile, SeenFileError

NAMES = [bytes([number]) * 32 for number in range(4)]


@pytest.fixture
def make_ledger(keyring: Keyring) -> Callable[[], Ledger]:
    return lambda: Ledger(keyring.ledger_mac, b"c" * 16)


@pytest.fixture
def ledger(make_ledger: Callable[[], Ledger], tmp_path: Path) -> Ledger:
    """One of which everything is in the file, which is closed."""
    made, file = make_ledger(), SeenFile(tmp_path)
    for name in NAMES:
        made.see(name, 1, b"one")
    file.write(made.snapshot())
    file.close()
    return made


def kept(folder: Path, ledger: Ledger) -> Ledger:
    """Return the ledger with what is in the file."""
    file = SeenFile(folder)
    assert file.load(ledger)
    file.close()
    return ledger


def test_what_was_written_is_read_again_whole_and_in_part(
    tmp_path: Path, ledger: Ledger, make_ledger: Callable[[], Ledger]
) -> None:
    file, again = SeenFile(tmp_path), make_ledger()
    assert file.load(again)
    again.see(NAMES[0], 2, b"two")
    again.follow(7)
    file.write(again.snapshot())
    file.close()
    third = kept(tmp_path, make_ledger())
    assert (third.digest, third.revision, len(third)) == (again.digest, 7, len(ledger))
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def test_nothing_is_made_before_there_is_something_to_write(tmp_path: Path, make_ledger: Callable[[], Ledger]) -> None:
    assert not SeenFile(tmp_path).load(make_ledger())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM seen WHERE name = (SELECT name FROM seen LIMIT 1)",
        f"UPDATE seen SET name = x'{'09' * 32}' WHERE name = x'{'01' * 32}'",
        f"UPDATE seen SET entry = x'{'09' * 24}' WHERE name = x'{'01' * 32}'",
        "DELETE FROM header",
        "UPDATE header SET data = x'00'",
        "UPDATE seen SET entry = 'text'",
        "DROP TABLE seen",
        "PRAGMA user_version = 2",
    ],
)
def test_a_file_that_somebody_edited_is_refused_and_stays_as_it_is(
    tmp_path: Path, ledger: Ledger, make_ledger: Callable[[], Ledger], harm: str
) -> None:
    assert len(ledger) == len(NAMES)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute(harm)
    connection.close()
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(StartError, match="remove this file to begin anew"):
        SeenFile(tmp_path).load(make_ledger())
    assert (tmp_path / FILE_NAME).read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000])
def test_a_file_that_is_none_is_refused(tmp_path: Path, make_ledger: Callable[[], Ledger], content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(StartError, match="damaged or changed"):
        SeenFile(tmp_path).load(make_ledger())


def test_a_file_that_another_process_writes_is_not_waited_for_for_ever(
    tmp_path: Path, ledger: Ledger, make_ledger: Callable[[], Ledger], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(ledger) == len(NAMES)
    monkeypatch.setattr("hsm_node.state.seen_file.BUSY_TIMEOUT_MS", 1)
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(StartError, match="another process"):
        SeenFile(tmp_path).load(make_ledger())
    connection.close()


def test_who_was_succeeded_writes_no_more_in_part_or_whole(
    tmp_path: Path, ledger: Ledger, make_ledger: Callable[[], Ledger]
) -> None:
    assert len(ledger) == len(NAMES)
    old, old_ledger, new, new_ledger = SeenFile(tmp_path), make_ledger(), SeenFile(tmp_path), make_ledger()
    old.load(old_ledger)
    new.load(new_ledger)
    for part in (True, False):
        old_ledger.see(NAMES[0], 2, b"two")
        if not part:
            old_ledger.write_all()
        with pytest.raises(DisplacedError):
            old.write(old_ledger.snapshot())
    new_ledger.see(NAMES[1], 2, b"two")
    new.write(new_ledger.snapshot())
    new.close()
    assert kept(tmp_path, make_ledger()).digest == new_ledger.digest


def test_a_file_that_went_is_noticed_and_written_whole(
    tmp_path: Path, ledger: Ledger, make_ledger: Callable[[], Ledger]
) -> None:
    assert len(ledger) == len(NAMES)
    file, again = SeenFile(tmp_path), make_ledger()
    file.load(again)
    (tmp_path / FILE_NAME).unlink()
    again.see(NAMES[0], 2, b"two")
    with pytest.raises(SeenFileError, match="removed or exchanged"):
        file.write(again.snapshot())
    again.write_all()
    file.write(again.snapshot())
    file.close()
    assert kept(tmp_path, make_ledger()).digest == again.digest


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, ledger: Ledger) -> None:
    ledger.write_all()
    with pytest.raises(SeenFileError, match="No such file"):
        SeenFile(tmp_path / "none").write(ledger.snapshot())
