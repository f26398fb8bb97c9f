import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path, keyring: Keyring) -> Path:
    place = tmp_path / "store.db"
    store = SqliteStore(place, "dev", keyring)
    for number in range(200):
        store.create(number.to_bytes(32, "big"), b"x" * 500)
    store.close()
    return place


def scribble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()


def foreign(path: Path) -> None:
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.close()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (scribble, "damaged"),
        (newer, "upgrade"),
        (foreign, "not a Redoubt store"),
        (lambda path: path.write_bytes(b"nonsense"), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "damaged"),
    ],
)
def test_a_store_that_is_not_sound_is_refused_and_left_as_it_is(
    path: Path, keyring: Keyring, harm: Callable[[Path], None], said: str
) -> None:
    harm(path)
    before = path.read_bytes()
    with pytest.raises(StartError, match=said):
        SqliteStore(path, "dev", keyring)
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_another_master_key_or_cluster_is_refused_and_nothing_is_written(
    path: Path, keyring: Keyring, other_keyring: Keyring
) -> None:
    before = path.read_bytes()
    with pytest.raises(StartError, match="master key"):
        SqliteStore(path, "dev", other_keyring)
    with pytest.raises(StartError, match="belongs to cluster 'dev'"):
        SqliteStore(path, "prod", keyring)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, keyring: Keyring) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be made"):
        SqliteStore(tmp_path / "file" / "store.db", "dev", keyring)


def test_the_store_is_readable_by_its_owner_only(path: Path) -> None:
    assert path.stat().st_mode & 0o077 == 0
