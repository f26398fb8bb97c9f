"""What a node says of itself to the others, in a real member."""

from collections.abc import Callable

from etcd import EtcdCluster
from msgspec.msgpack import decode

from hsm_node.core.confirmations import Registration
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import get, only, told_key

OpenStore = Callable[..., EtcdStore]


def said(store: EtcdStore) -> Registration:
    pair = only(store._calls.range(get(told_key("nodes/node-1"))))
    assert pair is not None
    return decode(pair.value, type=Registration)


def test_a_node_registers_when_it_starts_and_says_at_its_end_that_it_has_stopped(
    etcd: EtcdCluster, open_etcd: OpenStore
) -> None:
    del etcd
    store = open_etcd(node="node-1")
    first = said(store)
    assert not first.stopped
    store.stopped()
    assert said(store) == Registration(first.boot_id, stopped=True)


def test_a_process_whose_name_another_one_has_does_not_say_that_the_other_has_stopped(open_etcd: OpenStore) -> None:
    old, new = open_etcd(node="node-1"), open_etcd(node="node-1")
    old.stopped()
    assert not said(new).stopped


def test_a_store_without_a_name_is_registered_by_nobody(open_etcd: OpenStore) -> None:
    store = open_etcd()
    assert only(store._calls.range(get(told_key("nodes/")))) is None
    store.stopped()
