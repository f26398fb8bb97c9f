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
