"""A store in a file, moved to a real etcd: once, interrupted, by two, and back."""

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from etcd import EtcdCluster

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import Row, StoreError
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import ROW_PREFIX
from hsm_node.store.migration import moving
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.migration.mark import Mark, encoded
from hsm_node.store.migration.moving import bring_back, migrate
from hsm_node.store.migration.source import Source
from hsm_node.store.migration.target import Target
from hsm_node.store.sqlite import SqliteStore

OpenSource = Callable[..., Source]
OpenEtcd = Callable[..., EtcdStore]
FINAL = [b"row 1", b"row 2", b"row 3", b"row 4", b"change 9"]


class EndedError(Exception):
    """The process has ended."""


class Dying(Target):
    """Ends with a writing."""

    writes = 1
    finishes = False

    def write(self, rows: Sequence[Row]) -> None:
        super().write(rows)
        self.writes -= 1
        if self.writes < 0 and not self.finishes:
            raise EndedError

    def finish(self, value: bytes) -> None:
        raise EndedError


@pytest.fixture
def dying(etcd: EtcdCluster, monkeypatch: pytest.MonkeyPatch) -> Dying:
    """Writes two rows and dies."""
    monkeypatch.setattr(moving, "BATCH_ROWS", 1)
    return Dying(etcd.addresses, etcd.tls)


def nobody(_line: str) -> None:
    """Hear nothing."""


def interrupt(dying: Dying, open_source: OpenSource) -> None:
    with contextlib.closing(open_source()) as source, contextlib.closing(dying), pytest.raises(EndedError):
        migrate(source, dying, nobody)


def move(target: Target, open_source: OpenSource) -> moving.Report:
    with contextlib.closing(open_source()) as source:
        return migrate(source, target, nobody)


def test_every_record_is_there_in_order_and_the_store_opens_under_its_master_key(
    path: Path,
    target: Target,
    open_source: OpenSource,
    open_etcd: OpenEtcd,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 2)
    told: list[str] = []
    with contextlib.closing(open_source()) as source:
        cluster_id, rows = source.record.cluster_id, list(source.rows())
        report = migrate(source, target, told.append)
    assert (report.records, report.written, report.already) == (5, 5, False)
    assert told == ["5 records are there; both sides are compared"]
    named = keyring.name(1, b"k" * 16)
    store = open_etcd(Keyring(bytes(range(32))))
    assert store.cluster_id == cluster_id
    there = {row.name: row for row in store.rows_after(0)}
    assert [there[row.name].data for row in rows] == [row.data for row in rows]
    revisions = [there[row.name].revision for row in rows]
    assert revisions == sorted(revisions)
    assert len(set(revisions)) == 3
    assert keyring.name(1, b"k" * 16) == named
    with pytest.raises(StartError, match="was moved to etcd at"):
        SqliteStore(path, "dev", keyring)


def test_who_has_seen_the_file_finds_no_older_state_in_etcd(
    target: Target, open_source: OpenSource, open_etcd: OpenEtcd
) -> None:
    with contextlib.closing(open_source()) as source:
        source.revision += 500 + target._calls.identity.highest
        seen = source.revision
        migrate(source, target, nobody)
    assert all(row.revision > seen for row in open_etcd().rows_after(0))


def test_rows_of_one_transaction_are_bounded_in_number_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 3)
    monkeypatch.setattr(moving, "BATCH_BYTES", 100)
    sizes = [10, 10, 10, 10, 200, 10, 60, 60]
    rows = [Row(b"n", 1, bytes(size)) for size in sizes]
    assert [[len(row.data) for row in batch] for batch in moving._batches(iter(rows))] == [
        [10, 10, 10], [10], [200], [10, 60], [60],
    ]  # fmt: skip


@pytest.mark.parametrize("key", [b"elsewhere", ROW_PREFIX + b"n" * 32])
def test_an_etcd_with_something_in_it_is_refused(
    etcd: EtcdCluster, target: Target, open_source: OpenSource, key: bytes
) -> None:
    etcd.put(key, b"x")
    with pytest.raises(MigrationError, match="not empty, and holds no store"):
        move(target, open_source)
    assert len(etcd.ctl("get", "", "--prefix")["kvs"]) == 1


def test_an_etcd_with_a_store_is_refused_and_left_as_it_is(
    target: Target, open_source: OpenSource, open_etcd: OpenEtcd, path: Path, keyring: Keyring
) -> None:
    used = open_etcd()
    row = used.create(b"n" * 32, b"theirs")
    with pytest.raises(MigrationError, match="it holds a store; name an empty etcd"):
        move(target, open_source)
    assert list(target.rows()) == [row]
    SqliteStore(path, "dev", keyring).close()


def test_the_place_of_another_stores_migration_is_refused(target: Target, open_source: OpenSource) -> None:
    mark = encoded(Mark(b"o" * 16, 1, b"r" * 16))
    target.begin(mark, None)
    with pytest.raises(MigrationError, match="migration of another store has not ended"):
        move(target, open_source)
    assert target.check() == mark


def test_no_node_starts_where_a_migration_was_interrupted_but_on_the_file(
    dying: Dying, path: Path, open_source: OpenSource, open_etcd: OpenEtcd, keyring: Keyring
) -> None:
    interrupt(dying, open_source)
    with pytest.raises(StartError):
        open_etcd()
    SqliteStore(path, "dev", keyring).close()


def test_an_interrupted_migration_goes_on_where_it_was(
    dying: Dying, target: Target, open_source: OpenSource, open_etcd: OpenEtcd
) -> None:
    interrupt(dying, open_source)
    report = move(target, open_source)
    assert (report.records, report.written) == (5, 3)
    assert {row.data for row in open_etcd().rows_after(0)} == {*FINAL}


def test_what_was_changed_in_between_is_moved_as_it_is_then(
    dying: Dying, target: Target, path: Path, open_source: OpenSource, open_etcd: OpenEtcd, keyring: Keyring
) -> None:
    interrupt(dying, open_source)
    with contextlib.closing(SqliteStore(path, "dev", keyring)) as store:
        first = next(row for row in store.rows_after(0) if row.data == b"row 1")
        assert store.change(first.name, first.revision, b"changed meanwhile")
        store.create(b"n" * 32, b"made meanwhile")
        seen = store.rows_after(0)[-1].revision
    assert move(target, open_source).records == 6
    rows = open_etcd().rows_after(0)
    assert {row.data for row in rows} == {*FINAL[1:], b"changed meanwhile", b"made meanwhile"}
    assert rows[-1].revision > seen


def test_an_older_copy_of_the_file_does_not_go_on(
    dying: Dying, target: Target, path: Path, open_source: OpenSource, keyring: Keyring
) -> None:
    shutil.copy(path, path.with_name("older.db"))
    with contextlib.closing(SqliteStore(path, "dev", keyring)) as store:
        store.create(b"n" * 32, b"newer")
    interrupt(dying, open_source)
    path.with_name("older.db").rename(path)
    with pytest.raises(MigrationError, match="older copy of the store"):
        move(target, open_source)


def test_killed_between_both_marks_no_node_starts_anywhere_and_it_goes_on(
    dying: Dying, target: Target, path: Path, open_source: OpenSource, open_etcd: OpenEtcd, keyring: Keyring
) -> None:
    dying.finishes = True
    interrupt(dying, open_source)
    with pytest.raises(StartError, match="was moved"):
        SqliteStore(path, "dev", keyring)
    with pytest.raises(StartError):
        open_etcd()
    report = move(target, open_source)
    assert (report.records, report.written, report.already) == (5, 0, False)
    assert {row.data for row in open_etcd().rows_after(0)} == {*FINAL}


def test_what_is_done_is_not_done_again(target: Target, open_source: OpenSource, open_etcd: OpenEtcd) -> None:
    move(target, open_source)
    store = open_etcd()
    store.create(b"n" * 32, b"new")
    report = move(target, open_source)
    assert (report.already, report.written) == (True, 0)
    assert len(list(target.rows())) == 6


def test_a_file_that_was_moved_does_not_go_to_another_etcd(
    etcd: EtcdCluster, target: Target, open_source: OpenSource
) -> None:
    move(target, open_source)
    etcd.empty()
    with pytest.raises(MigrationError, match="was moved to etcd at .* already, and .* is empty"):
        move(target, open_source)
    assert target.is_empty()


def test_rows_of_somebody_else_are_found_and_nothing_is_marked(
    etcd: EtcdCluster, dying: Dying, target: Target, path: Path, open_source: OpenSource, keyring: Keyring
) -> None:
    interrupt(dying, open_source)
    etcd.put(ROW_PREFIX + b"s" * 32, b"strange")
    with pytest.raises(MigrationError, match="1 of its records are not those of the file"):
        move(target, open_source)
    SqliteStore(path, "dev", keyring).close()


def test_a_store_that_nobody_changed_comes_back_and_can_be_moved_again(
    target: Target, path: Path, open_source: OpenSource, open_etcd: OpenEtcd, keyring: Keyring
) -> None:
    move(target, open_source)
    with contextlib.closing(open_etcd()) as used:
        seen = used.rows_after(0)[-1].revision
    with contextlib.closing(open_source()) as source:
        assert bring_back(source, target).records == 5
    with pytest.raises(StartError):
        open_etcd()
    with contextlib.closing(SqliteStore(path, "dev", keyring)) as store:
        rows = store.rows_after(0)
        assert [row.data for row in rows] == FINAL
        assert rows[-1].revision > seen, "what nodes remember of etcd is not ahead of it"
        store.create(b"n" * 32, b"new")
    report = move(target, open_source)
    assert (report.records, report.written) == (6, 1)
    assert [row.data for row in open_etcd().rows_after(0)][-1] == b"new"


def test_what_was_changed_in_etcd_is_not_lost_by_a_way_back(
    target: Target, path: Path, open_source: OpenSource, open_etcd: OpenEtcd, keyring: Keyring
) -> None:
    move(target, open_source)
    used = open_etcd()
    used.create(b"n" * 32, b"new")
    with contextlib.closing(open_source()) as source:
        with pytest.raises(MigrationError, match="1 records were changed or made since the move.*--force"):
            bring_back(source, target)
        assert source.moved is not None
    used.create(b"m" * 32, b"and it goes on")
    with contextlib.closing(open_source()) as source:
        bring_back(source, None)
    SqliteStore(path, "dev", keyring).close()


def test_while_it_is_looked_at_nodes_change_nothing(
    target: Target, open_source: OpenSource, open_etcd: OpenEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(target, open_source)
    used = open_etcd()
    rows = target.rows

    def late() -> object:
        with pytest.raises(StoreError):
            used.create(b"n" * 32, b"late")
        return rows()

    monkeypatch.setattr(target, "rows", late)
    with contextlib.closing(open_source()) as source:
        bring_back(source, target)


def test_a_file_that_was_not_moved_or_not_there_has_no_way_back(
    etcd: EtcdCluster, target: Target, open_source: OpenSource
) -> None:
    with contextlib.closing(open_source()) as source, pytest.raises(MigrationError, match="nothing to undo"):
        bring_back(source, None)
    move(target, open_source)
    etcd.empty()
    with contextlib.closing(open_source()) as source, pytest.raises(MigrationError, match="does not hold the store"):
        bring_back(source, target)
