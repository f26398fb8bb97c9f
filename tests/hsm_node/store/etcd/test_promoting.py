"""Promotions and demotions in a real etcd."""

from collections.abc import Callable

import pytest
from programs import wait_until

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.etcd.driver import EtcdStore

OpenStore = Callable[..., EtcdStore]


def is_current(store: EtcdStore) -> bool:
    try:
        if store.changed():
            store.rows_after(0)
            store.applied()
    except StoreError:
        return False
    return True


def test_a_promotion_reaches_every_node_of_the_store_and_is_made_once(open_etcd: OpenStore, keyring: Keyring) -> None:
    one, two = open_etcd(node="node-1"), open_etcd(node="node-2")
    assert (one.epoch, one.promoted) == (1, False)
    one.promote(keyring, ["node-2"])
    two.promote(keyring, [])  # It finds that it was made.
    two.promote(keyring, [], 2)
    assert [(store.epoch, store.promoted) for store in (one, two)] == [(2, True)] * 2
    assert open_etcd().promoted
    with pytest.raises(ReplacedStoreError):  # Its registration went, as one that is off.
        two._probing.once()
        two.changed()
    assert two.fenced
    one.create(b"n" * 32, b"1")
    one.promote(keyring, [], 3)  # As of a member that was made a store of its own.
    assert (one.epoch, one.promoted) == (3, True)


def test_a_copy_that_lacks_the_last_promotion_is_promoted_above_it_and_its_node_serves_then(
    open_etcd: OpenStore, keyring: Keyring
) -> None:
    kept: list[int] = []
    open_etcd()
    store = open_etcd(node="node-1", seen_epoch=2, keep=lambda _cluster, epoch: kept.append(epoch))
    assert (store.outlived, store.epoch, store.seen_epoch) == (True, 1, 2)
    for epoch in (0, 2):  # As an old site asks, or somebody who has not seen what this node has.
        with pytest.raises(ReplacedStoreError, match="epoch 2 was seen"):
            store.promote(keyring, [], epoch)
    assert kept == []
    store.promote(keyring, [], 3)
    assert (store.epoch, store.promoted, kept) == (3, True, [3])
    wait_until(lambda: not store.fenced, lambda: store._following.fenced)
    assert not store.outlived
    store.changed()
    store.rows_after(0)
    store.applied()
    wait_until(lambda: is_current(store), lambda: "it has no contact")
    store.create(b"n" * 32, b"1")
    assert "node-1" in open_etcd(node="node-2").registered


def test_a_node_that_is_fenced_for_something_else_promotes_nothing(open_etcd: OpenStore, keyring: Keyring) -> None:
    store = open_etcd(node="node-1")
    store._following.fence("another process has the name")
    assert (store.fenced, store.outlived) == (True, False)
    with pytest.raises(ReplacedStoreError, match="another process"):
        store.promote(keyring, [], 9)
