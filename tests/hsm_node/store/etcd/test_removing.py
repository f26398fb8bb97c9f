"""Nodes that are removed, and those that are alive and stay: against a real member."""

from collections.abc import Callable

import pytest
from test_waits import PATIENCE_S, N, changed, follow, node, until

from hsm_daemon import clock
from hsm_node.core.confirmations import WAIT_S
from hsm_node.store.base import Removal
from hsm_node.store.etcd import removing
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.messages_pb2 import TxnRequest, TxnResponse
from hsm_node.store.etcd.transactions import get, only, told_key

OpenStore = Callable[..., EtcdStore]


def rows_of(store: EtcdStore, name: str) -> list[str]:
    paths = [f"{kind}/{name}" for kind in ("nodes", "confirmed", "out")]
    return [path for path in paths if only(store._calls.range(get(told_key(path)))) is not None]


def test_a_lost_node_is_visible_while_it_is_out_and_nobody_waits_for_it_after_its_removal(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.close()
    row = changed(one, one.create(N, b"0"), b"1")
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == ["node-2"]
    until(lambda: one.out == ["node-2"])
    assert one.registered == ["node-1", "node-2"]
    assert one.remove("node-2") is Removal.REMOVED
    assert rows_of(one, "node-2") == []
    until(lambda: one.registered == ["node-1"])
    assert (one.out, one.remove("node-2")) == ([], Removal.ABSENT)
    row = changed(one, row, b"2")
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == []
    begun = clock.boottime()
    row = changed(one, row, b"3")
    assert one.unconfirmed(row.revision).result(PATIENCE_S) == []
    assert clock.boottime() - begun < WAIT_S


def test_a_node_that_confirms_is_refused_and_stays(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    assert one.remove("node-2") is Removal.ALIVE
    assert one.remove("node-1") is Removal.ALIVE
    assert not two.fenced
    assert "nodes/node-2" in rows_of(one, "node-2")


def test_a_node_that_has_stopped_is_removed_and_registers_again_when_it_starts(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.stopped()
    two.close()
    assert one.remove("node-2") is Removal.REMOVED
    back = node(open_etcd, "node-2", follows=False)
    assert not back.fenced
    row = changed(one, one.create(N, b"0"), b"1")
    waiting = one.unconfirmed(row.revision)
    assert not waiting.done()
    until(lambda: follow(back) and waiting.done())
    assert waiting.result(0) == []


def test_a_node_that_starts_while_it_is_removed_stays(open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.stopped()
    two.close()
    removal = removing.removal

    def too_late(*arguments: object) -> TxnRequest:
        open_etcd(node="node-2")
        return removal(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(removing, "removal", too_late)
    assert one.remove("node-2") is Removal.ALIVE
    assert "nodes/node-2" in rows_of(one, "node-2")


def test_a_removal_whose_answer_was_lost_finds_that_it_was_made(
    open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.stopped()
    two.close()
    txn = one._calls.txn

    def twice(request: TxnRequest, *more: float) -> TxnResponse:
        if request.failure:
            txn(request, *more)
        return txn(request, *more)

    monkeypatch.setattr(one._calls, "txn", twice)
    assert one.remove("node-2") is Removal.REMOVED
    assert rows_of(one, "node-2") == []


def test_a_node_that_comes_back_while_it_is_removed_takes_its_mark_away_and_stays(
    open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    monkeypatch.setattr(one._waits, "has", lambda name, revision: False)  # As if it had not been reached until now.
    assert one.remove("node-2") is Removal.ALIVE
    assert "nodes/node-2" in rows_of(one, "node-2")
    assert not two.fenced


def test_a_node_is_removed_only_when_it_was_known_to_be_out_for_as_long_as_a_contact_may_count(
    open_etcd: OpenStore,
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.close()
    begun = clock.boottime()
    assert one.remove("node-2") is Removal.REMOVED
    assert clock.boottime() - begun >= 2 * WAIT_S  # Nobody had missed it before.
    assert rows_of(one, "node-2") == []


def test_a_node_that_runs_and_was_removed_all_the_same_finds_it_and_is_fenced(
    open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2", follows=False)
    monkeypatch.setattr(one._waits, "has", lambda name, revision: False)
    once = two._probing.once
    monkeypatch.setattr(two._probing, "once", lambda: True)  # As if its host had been cut off meanwhile.
    assert one.remove("node-2") is Removal.REMOVED
    assert not two.fenced
    monkeypatch.setattr(two._probing, "once", once)
    until(lambda: two.fenced)
