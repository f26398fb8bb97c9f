"""Contact with a real member that stops and comes back."""

import signal
import time
from collections.abc import Callable

import pytest
from etcd import EtcdCluster

from hsm_daemon import clock
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.following import STALE_AFTER_S
from hsm_node.store.etcd.transactions import get, only, put_told, told_key

PATIENCE_S = 15.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def in_contact(store: EtcdStore) -> bool:
    try:
        store.changed()
    except StoreError:
        return False
    return True


def test_a_member_that_stands_still_makes_the_node_stale_and_all_is_well_when_it_goes_on(
    etcd: EtcdCluster, open_etcd: Callable[..., EtcdStore]
) -> None:
    store = open_etcd()
    store.changed()
    store.rows_after(0)
    [member] = etcd.members
    member.signal(signal.SIGSTOP)
    stopped = clock.boottime()
    try:
        until(lambda: not in_contact(store))
        assert store.contact is not None
        assert clock.boottime() - store.contact >= STALE_AFTER_S
        assert store.contact <= stopped + 0.5
        with pytest.raises(StoreError):
            store.create(b"n" * 32, b"1")
    finally:
        member.signal(signal.SIGCONT)
    until(lambda: in_contact(store))
    row = store.create(b"n" * 32, b"1")
    until(store.changed)
    assert store.rows_after(0) == [row]


def test_while_somebody_has_said_that_a_node_is_out_its_contact_does_not_count(
    etcd: EtcdCluster, open_etcd: Callable[..., EtcdStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    del etcd
    store, key = open_etcd(node="node-1"), told_key("out/node-1")
    store.changed()
    store.rows_after(0)
    until(lambda: in_contact(store))
    with monkeypatch.context() as patched:
        patched.setattr(store._saying, "came_back", lambda _mark: time.sleep(0.01))  # It does not get through.
        store._calls.txn(put_told("out/node-1", b"whoever says so"))
        until(lambda: not in_contact(store))
        assert clock.boottime() - (store.contact or 0) >= STALE_AFTER_S
    until(lambda: in_contact(store))
    assert only(store._calls.range(get(key))) is None
