"""What every driver promises to the node: design.md, section 6."""

import contextlib
import time
from collections.abc import Callable
from threading import Thread

import pytest

from hsm_daemon import clock
from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store import sqlite_copy
from hsm_node.store.base import ReplacedStoreError, Row, Store, StoreError
from hsm_node.store.etcd import member_copy

OpenStore = Callable[..., Store]
MASTER_KEY = bytes(range(32))
ARRIVAL_S = 10.0


class Node:
    """Follows a store as a node does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.rows: list[Row] = []

    def look(self) -> None:
        if self.store.changed():
            self.rows += self.store.rows_after(self.rows[-1].revision if self.rows else 0)

    def see(self, *rows: Row) -> None:
        """Wait until these are the newest rows, in this order."""
        deadline = time.monotonic() + ARRIVAL_S
        self.look()
        while self.rows[-len(rows) :] != list(rows):
            assert time.monotonic() < deadline, self.rows
            time.sleep(0.001)
            self.look()


def name(number: int) -> bytes:
    return number.to_bytes(32, "big")


N = name(1)


def test_the_first_look_is_due_also_where_there_is_nothing(open_store: OpenStore) -> None:
    store = open_store()
    assert store.contact is None
    assert store.changed()
    assert store.rows_after(0) == []
    assert not store.changed()
    assert store.contact is not None


def test_nodes_see_each_others_rows_once_and_in_order(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    assert (one.cluster_id, one.epoch) == (two.cluster_id, two.epoch)
    assert len(one.cluster_id) == 16
    seen = Node(two)
    first = one.create(N, b"1")
    other = two.create(name(2), b"1")
    changed = one.change(N, first.revision, b"2")
    assert changed is not None
    assert first.revision < other.revision < changed.revision
    seen.see(changed)
    # A node that looks late may get the newest state only.
    assert seen.rows in ([first, other, changed], [other, changed])
    assert not two.changed()


def test_contact_goes_on_while_nothing_happens(open_store: OpenStore) -> None:
    store = open_store()
    store.changed()
    store.rows_after(0)
    begun = clock.boottime()
    while store.contact is None or store.contact < begun:
        assert not store.changed()
        assert clock.boottime() < begun + ARRIVAL_S
        time.sleep(0.001)
    assert store.contact <= clock.boottime()


def test_a_create_returns_what_is_there_already(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    assert two.create(N, b"2") == one.create(N, b"1") == Row(N, one.create(N, b"3").revision, b"2")


def test_a_change_at_an_old_revision_changes_nothing_and_the_node_has_what_is_there(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    node = Node(one)
    row = one.create(N, b"1")
    node.see(row)
    newer = two.change(N, row.revision, b"2")
    assert newer is not None
    assert one.change(N, row.revision, b"3") is None
    node.look()  # Without waiting: the next try must be on top of it.
    assert node.rows[-1] == newer
    assert one.change(name(2), row.revision, b"3") is None
    assert one.read(N) == newer
    assert one.read(name(2)) is None


def test_what_was_committed_before_a_node_catches_up_is_there_without_waiting(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    node = Node(two)
    node.look()
    for number in range(20):
        row = one.create(name(number), b"1")
        two.catch_up()
        node.look()
        assert node.rows[-1] == row


def test_many_creates_at_once_make_one_row(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    answers: list[Row] = []
    threads = [
        Thread(target=lambda s=store, n=number: answers.append(s.create(N, b"%d" % n)))
        for number, store in enumerate(stores * 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4
    assert len(set(map(repr, answers))) == 1
    Node(stores[0]).see(answers[0])


def test_of_many_changes_at_once_one_is_made(open_store: OpenStore) -> None:
    stores = [open_store(), open_store()]
    row = stores[0].create(N, b"0")
    made: list[Row | None] = []
    threads = [
        Thread(target=lambda s=store, n=number: made.append(s.change(N, row.revision, b"%d" % n)))
        for number, store in enumerate(stores * 2, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    [changed] = [answer for answer in made if answer is not None]
    assert stores[1].read(N) == changed


def test_what_was_stored_is_there_after_a_restart(open_store: OpenStore) -> None:
    first = open_store()
    rows = [first.create(name(number), b"1") for number in range(10)]
    first.close()
    again = Node(open_store(Keyring(MASTER_KEY)))
    again.look()
    assert again.rows == rows
    assert again.store.cluster_id == first.cluster_id


def test_a_read_shows_what_another_node_wrote_last(open_store: OpenStore) -> None:
    one, two = open_store(), open_store()
    assert two.read(N) is None
    row = one.create(N, b"1")
    assert two.read(N) == row
    assert one.change(N, row.revision, b"2") == two.read(N)


def test_a_record_may_be_large_and_empty_data_is_data(open_store: OpenStore) -> None:
    store = open_store()
    rows = [store.create(name(1), b"x" * (1 << 20)), store.create(name(2), b"")]
    Node(store).see(*rows)
    assert store.read(name(1)) == rows[0]


def test_a_closed_store_says_that_it_cannot_be_reached(open_store: OpenStore) -> None:
    store = open_store()
    store.close()
    for use in (
        store.changed,
        lambda: store.rows_after(0),
        lambda: store.create(N, b"1"),
        lambda: store.change(N, 1, b"1"),
        lambda: store.read(N),
    ):
        with pytest.raises(StoreError):
            use()
    store.close()


def test_a_store_that_is_closed_amid_changes_ends_them_in_order(open_store: OpenStore) -> None:
    store = open_store()
    made: list[Row] = []

    def create() -> None:
        with contextlib.suppress(StoreError):
            made.extend(store.create(name(number), b"d") for number in range(100_000))

    writer = Thread(target=create)
    writer.start()
    while not made:
        writer.join(0.001)
    store.close()
    writer.join(10)
    assert not writer.is_alive()
    again = Node(open_store())
    again.look()
    # The last one may have been made, and its answer been lost with the store.
    assert again.rows[: len(made)] == made
    assert len(again.rows) <= len(made) + 1


def test_a_revision_that_the_store_has_not_come_to_is_another_stores(open_store: OpenStore) -> None:
    store = open_store()
    row = store.create(N, b"1")
    Node(store).see(row)
    with pytest.raises(ReplacedStoreError):
        store.rows_after(row.revision + 1_000_000)


def test_another_master_key_or_cluster_is_refused(open_store: OpenStore, other_keyring: Keyring) -> None:
    open_store().create(N, b"1")
    with pytest.raises(StartError, match="master key"):
        open_store(other_keyring)
    with pytest.raises(StartError, match="belongs to cluster 'dev'"):
        open_store(None, "prod")


def test_the_stores_own_keys_are_the_same_for_all_nodes(open_store: OpenStore, keyring: Keyring) -> None:
    open_store()
    other = Keyring(MASTER_KEY)
    before = other.name(1, b"k")
    open_store(other)
    assert other.name(1, b"k") == keyring.name(1, b"k") != before


def test_the_master_key_can_be_replaced_and_the_store_says_which_version_it_has(
    open_store: OpenStore, keyring: Keyring
) -> None:
    store, second = open_store(), open_store()
    own_name = keyring.name(1, b"k")
    keyring.hold(b"2" * 32, 2)
    row = store.create(N, b"1")
    for seen in ({N: row.revision - 1}, {name(7): 1}):
        assert not store.reseal(keyring, 2, seen)
    assert store.master_key_version(keyring) == 1
    for _ in ("once", "and again"):
        assert store.reseal(keyring, 2, {N: row.revision})
    assert not store.reseal(keyring, 2, {N: row.revision - 1})
    assert second.master_key_version(keyring) == 2
    assert second.master_key_version(Keyring(MASTER_KEY)) == 0
    with pytest.raises(StoreError, match="check record"):
        second.reseal(Keyring(MASTER_KEY), 1, {})
    with pytest.raises(StartError, match="under a newer master key, version 2"):
        open_store(Keyring(MASTER_KEY))
    both = Keyring(MASTER_KEY)
    both.hold(b"2" * 32, 2)
    open_store(both)
    assert both.version == 2
    successor = Keyring(b"2" * 32)
    open_store(successor)
    assert (successor.version, successor.name(1, b"k")) == (2, own_name)
    assert Node(second).rows == []
    Node(second).see(row)


def test_a_change_that_no_other_node_can_miss_is_waited_for_by_nobody(open_store: OpenStore) -> None:
    store = open_store()
    row = store.create(N, b"1")
    changed = store.change(N, row.revision, b"2", waits=True)
    assert changed is not None
    for _ in range(2):  # Also when it is asked for again.
        assert store.unconfirmed(changed.revision).result(ARRIVAL_S) == []


def test_a_snapshot_is_of_one_moment_whatever_is_written_while_it_is_read(open_store: OpenStore) -> None:
    store, other = open_store(), open_store()
    rows = [store.create(name(number), b"x" * 50) for number in range(450)]
    snapshot = store.snapshot()
    found = snapshot.read()
    assert snapshot.revision == rows[-1].revision
    other.create(name(449) + b"behind", b"new")
    other.create(b"\0", b"new")
    changed = other.change(name(440), rows[440].revision, b"changed")
    assert changed is not None
    while more := snapshot.read():
        found += more
    assert found == rows
    assert snapshot.read() == []
    snapshot.close()
    again = store.snapshot()
    assert again.revision >= changed.revision
    assert sum(len(page) for page in iter(again.read, [])) == 452
    again.close()


def test_a_snapshot_of_an_empty_store_has_nothing(open_store: OpenStore) -> None:
    snapshot = open_store().snapshot()
    assert snapshot.read() == []
    snapshot.close()


def test_the_own_copy_has_every_row_in_the_order_of_names_page_by_page(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store()
    for driver in (sqlite_copy, member_copy):
        monkeypatch.setattr(driver, "PAGE_ROWS", 3)
    rows = [store.create(name(number), b"data") for number in range(1, 9)]
    newest, seen, after, revision = store.copy.newest(), [], b"", 0
    while True:
        page = store.copy.page(after, revision)
        seen += page.rows
        if not page.more:
            break
        after, revision = page.rows[-1].name, page.revision
    assert seen == rows
    assert newest >= rows[-1].revision
    assert store.copy.revision() >= newest


def test_the_own_copy_tells_whether_the_master_key_is_its_own(open_store: OpenStore, other_keyring: Keyring) -> None:
    store = open_store()
    assert store.copy.master_key_version(Keyring(MASTER_KEY)) == 1
    assert store.copy.master_key_version(other_keyring) == 0
