"""What a node says of itself in the store: when it starts, and when it has stopped."""

from collections.abc import Callable

import pytest
from etcd import EtcdCluster

from hsm_node.core.keyring import Keyring
from hsm_node.core.statements import Registration, Seal
from hsm_node.store.base import StoreError
from hsm_node.store.etcd import saying
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
