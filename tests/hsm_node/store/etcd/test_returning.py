"""Whether sites that come back have caught up, against a real member."""

from collections.abc import Callable

import pytest
from test_waits import N, node, until

from hsm_cluster.address import Address
from hsm_node.core.keyring import Keyring
from hsm_node.store.etcd import returning
from hsm_node.store.etcd.channels import Link
from hsm_node.store.etcd.driver import EtcdStore

OpenStore = Callable[..., EtcdStore]


def test_who_has_confirmed_everything_lacks_nothing_and_who_is_lost_lacks_what_came_since(
    open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    until(lambda: one.registered == ["node-1", "node-2"])
    lag = one.lag()
    assert (lag.nodes, lag.members) == ({"node-2": 0}, {})
    two.close()
    one.create(N, b"0")
    monkeypatch.setattr(returning, "WAIT_S", 0.2)
    lacking = one.lag().nodes["node-2"]
    assert lacking > 0


def test_a_node_that_has_stopped_is_not_one_that_follows(open_etcd: OpenStore) -> None:
    one, two = node(open_etcd, "node-1"), node(open_etcd, "node-2")
    two.stopped()
    until(lambda: not one.lag().nodes)


def test_members_that_do_not_answer_are_named(open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_etcd(node="node-1")
    monkeypatch.setattr(returning, "WAIT_S", 0.0)
    away = Link(Address("127.0.0.1", 9), None)
    store._calls.links.append(away)
    try:
        assert list(store.lag().members) == ["127.0.0.1:9"]
    finally:
        store._calls.links.remove(away)
        away.close()


def test_the_dr_site_stands_by_again_in_the_same_epoch(open_etcd: OpenStore, keyring: Keyring) -> None:
    store = open_etcd(node="node-1")
    store.promote(keyring, [])
    store.demote(keyring)
    store.demote(keyring)
    assert (store.epoch, store.seen_epoch, store.promoted) == (2, 2, False)
    store.promote(keyring, [])
    assert (store.epoch, store.promoted) == (3, True)
