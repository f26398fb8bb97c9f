"""What a node says of itself in the store: when it starts, and when it has stopped."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from etcd import EtcdCluster
from programs import wait_until

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.core.statements import Registration, Seal
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, StoreError
from hsm_node.store.etcd import saying
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.transactions import get, only, put_told, told_key
from hsm_node.store.etcd.watching import Watching

OpenStore = Callable[..., EtcdStore]
PATH = "nodes/node-1"


def row(store: EtcdStore) -> KeyValue:
    pair = only(store._calls.range(get(told_key(PATH))))
    assert pair is not None
    return pair


def said(store: EtcdStore, keyring: Keyring) -> Registration:
    opened = Seal(keyring.told_mac, store.cluster_id).open(PATH, row(store).value, Registration)
    assert opened is not None
    return opened


def test_a_node_registers_when_it_starts_and_says_at_its_end_that_it_has_stopped(
    open_etcd: OpenStore, keyring: Keyring
) -> None:
    store = open_etcd(node="node-1")
    first = said(store, keyring)
    assert not first.stopped
    store.stopped()
    assert said(store, keyring) == Registration(first.boot_id, first.life, stopped=True)


def test_each_life_is_later_than_all_that_earlier_ones_have_said(open_etcd: OpenStore, keyring: Keyring) -> None:
    last = 0
    for _ in range(3):
        store = open_etcd(node="node-1")
        assert said(store, keyring).life >= last
        store.stopped()
        last = row(store).mod_revision


def test_of_two_processes_that_register_at_once_the_second_one_is_the_later_life(
    open_etcd: OpenStore, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_etcd(node="node-1")
    before, txn = said(store, keyring), store._calls.txn
    other = [put_told(PATH, b"another process")]

    def faster(*asked: object) -> object:
        if other:
            txn(other.pop())
        return txn(*asked)  # type: ignore[arg-type]

    monkeypatch.setattr(store._calls, "txn", faster)
    store._saying.register()
    assert said(store, keyring).life > before.life
    other += [put_told(PATH, b"another process")] * 9
    with pytest.raises(StoreError, match="other processes register"):
        store._saying.register()
    assert len(other) == 9 - saying.MAX_REGISTER_TRIES


def test_a_process_whose_name_another_one_has_does_not_say_that_the_other_has_stopped(
    open_etcd: OpenStore, keyring: Keyring
) -> None:
    old, new = open_etcd(node="node-1"), open_etcd(node="node-1")
    old.stopped()
    assert not said(new, keyring).stopped


def test_a_store_without_a_name_is_registered_by_nobody(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    del etcd
    store = open_etcd()
    assert only(store._calls.range(get(told_key("nodes/")))) is None
    store.stopped()


def test_a_node_registers_before_it_lists_so_that_what_is_not_in_the_list_waits_for_it(
    open_etcd: OpenStore, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = []
    load = Watching.load

    def loaded(watching: Watching) -> None:
        pair = only(watching._calls.range(get(told_key(PATH))))
        registered.append(pair is not None)
        load(watching)

    monkeypatch.setattr(Watching, "load", loaded)
    open_etcd(node="node-1")
    assert registered == [True]


@contextlib.contextmanager
def full() -> Iterator[None]:
    """Have every change refused, as members do whose quota is full."""

    def refused(_calls: Calls, *_asked: Any) -> Any:
        raise HaltedStoreError("there is no room")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Calls, "txn", refused)
        yield


def in_contact(store: EtcdStore) -> bool:
    with contextlib.suppress(StoreError):
        while store.changed():
            store.rows_after(0)
            store.applied()
        return True
    return False


def _vouches(store: EtcdStore, revision: int) -> bool:
    """Apply what came, as a node does; say whether it was confirmed."""
    store.rows_after(revision)
    store.applied()
    return store._waits.has("node-1", revision)


def test_a_node_that_was_killed_starts_in_a_full_store_as_stale_and_registers_when_there_is_room(
    open_etcd: OpenStore, keyring: Keyring
) -> None:
    killed = open_etcd(node="node-1")
    made = killed.create(b"n" * 32, b"1")
    killed.close()
    reader = open_etcd()
    before = said(reader, keyring)
    with full():
        store = open_etcd(node="node-1")
        assert store.rows_after(0) == [made]
        store.applied()
        store._probing.once()
        with pytest.raises(StoreError, match="serves as stale until the store takes changes again: there is no room"):
            store.changed()
        assert not store.fenced
        with pytest.raises(HaltedStoreError):
            store.create(b"m" * 32, b"2")
    wait_until(lambda: in_contact(store), lambda: "it registers")
    assert said(reader, keyring).boot_id != before.boot_id
    row = store.create(b"m" * 32, b"2")
    wait_until(lambda: row in store.rows_after(0), lambda: "it hears of what it made")
    store.applied()
    reader._saying.ask()  # As a change does that waits for all nodes.
    wait_until(lambda: _vouches(store, row.revision), lambda: "it confirms")


def test_a_node_that_no_change_would_wait_for_does_not_start_in_a_full_store(open_etcd: OpenStore) -> None:
    open_etcd(node="node-1").stopped()
    with full():
        for name in ("node-1", "node-2"):
            with pytest.raises(StartError, match="there is no room; no change would wait for this node"):
                open_etcd(node=name)


def test_a_node_whose_name_another_process_takes_before_there_is_room_serves_no_more(open_etcd: OpenStore) -> None:
    open_etcd(node="node-1").close()
    with full():
        store = open_etcd(node="node-1")
    other = open_etcd(node="node-1")
    wait_until(lambda: store.fenced or other.fenced, lambda: "one of them serves no more")
    assert store.fenced is not other.fenced
    with pytest.raises(ReplacedStoreError, match="another process has the name"):
        (store if store.fenced else other).changed()
