"""Nodes of one store that confirm, hang, stop and come back: against a real member."""

import signal
import time
from collections.abc import Callable

import msgspec
import pytest
from etcd import EtcdCluster

from hsm_daemon import clock
from hsm_node.core.confirmations import WAIT_S
from hsm_node.store.base import ReplacedStoreError, Row, StoreError
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.messages_pb2 import DeleteRequest, RequestOp, TxnRequest
from hsm_node.store.etcd.transactions import get, only, put_told, told_key

OpenStore = Callable[..., EtcdStore]
PATIENCE_S = 15.0
N = b"n" * 32


def follow(store: EtcdStore) -> bool:
    """Do what a node does when it looks; whether it is in contact."""
    try:
        if store.changed():
            store.rows_after(0)
        store.applied()
    except StoreError:
        return False
    return True


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def node(open_etcd: OpenStore, name: str, *, follows: bool = True) -> EtcdStore:
    store = open_etcd(node=name)
    if follows:
        store.tell(lambda: follow(store))
    until(lambda: follow(store))
    return store


def changed(store: EtcdStore, row: Row, data: bytes) -> Row:
    made = store.change(N, row.revision, data, waits=True)
    assert made is not None
    return made


def test_a_change_is_confirmed_by_every_node_that_follows(open_etcd: OpenStore) -> None:
    one, _ = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    row = one.create(N, b"1")
    for number in range(5):
        row = changed(one, row, b"%d" % number)
        begun = clock.boottime()
        assert one.unconfirmed(row.revision).result(PATIENCE_S) == []
        assert clock.boottime() - begun < WAIT_S


def test_a_node_that_does_not_apply_is_named_after_the_wait_then_at_once_until_it_is_back(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    row = one.create(N, b"0")
    begun = clock.boottime()
    row = changed(one, row, b"1")
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == ["node-2"]
    assert clock.boottime() - begun >= WAIT_S
    again = one.unconfirmed(row.revision)  # It was sent again: it waits as well.
    until(lambda: follow(two))
    assert again.result(PATIENCE_S) == []
    last = one.unconfirmed(changed(one, row, b"2").revision)
    until(lambda: follow(two) and last.done())
    assert last.result(0) == []


def test_a_node_that_has_stopped_in_order_is_not_waited_for(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    row = changed(one, one.create(N, b"0"), b"1")
    two.stopped()
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == []
    row = changed(one, row, b"2")
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == []


def write(store: EtcdStore, path: str, data: bytes) -> None:
    """Write what somebody writes who has the store, but no node's keys."""
    store._calls.txn(put_told(path, data))


def read(store: EtcdStore, path: str) -> bytes:
    pair = only(store._calls.range(get(told_key(path))))
    assert pair is not None
    return pair.value


def test_a_forged_confirmation_is_refused_and_the_node_is_named(
    open_etcd: OpenStore, caplog: pytest.LogCaptureFixture
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    row = changed(one, one.create(N, b"0"), b"1")
    until(lambda: only(one._calls.range(get(told_key("confirmed/node-1")))) is not None)
    old = [read(one, path) for path in ("confirmed/node-1", "wanted")]
    for data in (*old, msgspec.msgpack.encode({"boot_id": b"", "revision": 1 << 60}), b"\xff"):
        write(two, "confirmed/node-2", data)
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == ["node-2"]
    until(lambda: one.refused_statements == 4)
    assert caplog.messages.count("what a node seems to say is refused") >= 1


@pytest.mark.parametrize("stopped", [True, False])
def test_who_takes_a_nodes_registration_away_does_not_have_it_left_out_before_it_is_fenced(
    open_etcd: OpenStore, stopped: bool
) -> None:
    earlier = node(open_etcd, "node-2")
    earlier.stopped()
    words = read(earlier, "nodes/node-2")
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    row = one.create(N, b"0")
    if stopped:
        write(one, "nodes/node-2", words)
    else:
        one._calls.txn(TxnRequest(success=[RequestOp(delete=DeleteRequest(key=told_key("nodes/node-2")))]))
    taken = clock.boottime()
    row = changed(one, row, b"1")
    one.unconfirmed(row.revision).result(PATIENCE_S)
    assert two.fenced
    assert clock.boottime() - taken >= WAIT_S
    assert one.unconfirmed(changed(one, row, b"2").revision).result(PATIENCE_S) == []


def test_whose_name_another_process_has_serves_and_changes_nothing_more(open_etcd: OpenStore) -> None:
    old = node(open_etcd, "node-1")
    node(open_etcd, "node-1")
    until(lambda: old.fenced)
    with pytest.raises(ReplacedStoreError, match="another process has the name"):
        old.changed()
    with pytest.raises(ReplacedStoreError):
        old.create(N, b"1")


def test_a_node_that_a_restored_store_does_not_know_is_fenced_until_it_is_started_again(open_etcd: OpenStore) -> None:
    first = node(open_etcd, "node-1")
    backup = read(first, "nodes/node-1")
    second, other = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    write(other, "nodes/node-1", backup)
    until(lambda: second.fenced)
    with pytest.raises(ReplacedStoreError, match="the store was restored; .* start that one again"):
        second.changed()
    assert not other.fenced
    third = node(open_etcd, "node-1")
    until(lambda: follow(third))
    row = changed(third, third.create(N, b"0"), b"1")
    assert third.unconfirmed(row.revision).result(PATIENCE_S) == []
    assert not third.fenced


def test_who_waits_while_the_store_is_closed_hears_that_it_is(open_etcd: OpenStore) -> None:
    one = node(open_etcd, "node-1")
    node(open_etcd, "node-2", follows=False)
    row = changed(one, one.create(N, b"0"), b"1")
    waiting = one.unconfirmed(row.revision)
    one.close()
    with pytest.raises(StoreError, match="closed"):
        waiting.result(PATIENCE_S)


def test_who_waits_while_the_store_is_lost_goes_by_the_clock_and_names_who_was_not_seen_to_confirm(
    etcd: EtcdCluster, open_etcd: OpenStore
) -> None:
    one, _ = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    row = changed(one, one.create(N, b"0"), b"1")
    [member] = etcd.members
    member.signal(signal.SIGSTOP)
    try:
        assert one.unconfirmed(row.revision).result(PATIENCE_S) == ["node-2"]
    finally:
        member.signal(signal.SIGCONT)
