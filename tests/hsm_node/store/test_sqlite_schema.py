import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import Row, StoreError
from hsm_node.store.check_record import ClusterRow
from hsm_node.store.sqlite import SqliteStore
from hsm_node.store.sqlite_schema import CACHE_KIB, connect


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
    connection.execute("PRAGMA user_version = 3")
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


MASTER_KEY = bytes(range(32))
SCHEMA_1 = """
PRAGMA application_id = 0x52444254;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
CREATE TABLE cluster (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    cluster_id BLOB NOT NULL, name TEXT NOT NULL, epoch INTEGER NOT NULL, mac BLOB NOT NULL,
    revision INTEGER NOT NULL
);
CREATE TABLE records (name BLOB PRIMARY KEY, revision INTEGER NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX records_by_revision ON records (revision);
"""


def make_schema_1(path: Path) -> Row:
    """Make a store as earlier versions did, with one row; return the row."""
    ring = Keyring(MASTER_KEY)
    about = ClusterRow(b"c" * 16, "dev", 1)
    row = Row(ring.name(1, b"k" * 16), 1, b"data")
    connection = sqlite3.connect(path)
    connection.executescript(SCHEMA_1)
    with connection:
        values = (about.cluster_id, about.name, about.epoch, ring.mac(about.authenticated))
        connection.execute("INSERT INTO cluster VALUES (1, ?, ?, ?, ?, 1)", values)
        connection.execute("INSERT INTO records VALUES (?, ?, ?)", (row.name, row.revision, row.data))
    connection.close()
    return row


def user_version(path: Path) -> int:
    connection = sqlite3.connect(path)
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.close()
    return version


def test_a_store_of_schema_1_is_upgraded_and_every_name_in_it_stays(tmp_path: Path, keyring: Keyring) -> None:
    path = tmp_path / "old.db"
    row = make_schema_1(path)
    for _ in range(2):  # The second start finds schema 2.
        store = SqliteStore(path, "dev", keyring)
        assert (store.cluster_id, store.rows_after(0)) == (b"c" * 16, [row])
        store.close()
        assert keyring.name(1, b"k" * 16) == Keyring(MASTER_KEY).name(1, b"k" * 16) == row.name
        assert user_version(path) == 2


def test_a_node_that_runs_on_an_upgraded_store_goes_on_writing(tmp_path: Path, keyring: Keyring) -> None:
    path = tmp_path / "old.db"
    make_schema_1(path)
    earlier = sqlite3.connect(path)
    assert earlier.execute("SELECT count(*) FROM records").fetchone() == (1,)
    store = SqliteStore(path, "dev", keyring)
    with earlier:
        earlier.execute("UPDATE cluster SET revision = revision + 1")
        earlier.execute("INSERT INTO records VALUES (x'00', 2, x'01')")
    earlier.close()
    assert [found.revision for found in store.rows_after(0)] == [1, 2]
    store.close()


@pytest.mark.parametrize("cluster", ["dev", "prod"])
def test_a_store_of_schema_1_that_is_not_ours_stays_as_it_is(
    tmp_path: Path, keyring: Keyring, other_keyring: Keyring, cluster: str
) -> None:
    path = tmp_path / "old.db"
    make_schema_1(path)
    with pytest.raises(StartError, match="master key" if cluster == "dev" else "belongs to cluster"):
        SqliteStore(path, cluster, other_keyring)
    keyring.hold(b"2" * 32, 2)
    with pytest.raises(StartError, match="start once with one master key"):
        SqliteStore(path, "dev", keyring)
    assert user_version(path) == 1


@pytest.mark.parametrize("damage", ["mac = x'00'", "naming_key = 'text'"])
def test_no_check_record_is_put_over_one_that_does_not_open(path: Path, keyring: Keyring, damage: str) -> None:
    keyring.hold(b"2" * 32, 2)
    store = SqliteStore(path, "dev", keyring)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute(f"UPDATE cluster SET {damage}")
        damaged = intruder.execute("SELECT * FROM cluster").fetchone()
        with pytest.raises(StoreError, match="check record"):
            store.reseal(keyring, 2, {})
        assert intruder.execute("SELECT * FROM cluster").fetchone() == damaged
    store.close()


def test_a_successor_given_as_the_first_master_key_is_refused(path: Path) -> None:
    ring = Keyring(b"0" * 32)
    ring.hold(MASTER_KEY, 2)
    with pytest.raises(StartError, match="cannot have a predecessor"):
        SqliteStore(path, "dev", ring)


@pytest.mark.parametrize(
    "change",
    [
        "naming_key = digest_key, digest_key = naming_key",
        "master_key_version = 2",
        "epoch = 2",
        "cluster_id = x'00112233445566778899aabbccddeeff'",
        "mac = 'text'",
    ],
)
def test_a_changed_check_record_is_refused(path: Path, keyring: Keyring, change: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(f"UPDATE cluster SET {change}")
    connection.close()
    with pytest.raises(StartError, match="master key"):
        SqliteStore(path, "dev", keyring)


@pytest.mark.parametrize("change", ["DELETE FROM cluster", "UPDATE cluster SET naming_key = NULL"])
def test_a_store_without_its_check_record_is_damaged(path: Path, keyring: Keyring, change: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(StartError, match="damaged"):
        SqliteStore(path, "dev", keyring)


def test_the_store_has_no_key_of_its_own_in_clear(path: Path, keyring: Keyring) -> None:
    SqliteStore(path, "dev", keyring).close()
    content = b"".join(file.read_bytes() for file in path.parent.iterdir())
    for key in (keyring._naming_key, keyring._digest_key, MASTER_KEY):
        assert key not in content


def test_a_connection_keeps_few_pages_however_large_the_store_gets(path: Path) -> None:
    with contextlib.closing(connect(path, 100)) as connection:
        assert connection.execute("PRAGMA cache_size").fetchone() == (-CACHE_KIB,)
