"""A node that was away knows whether the DR site was promoted before it is current again."""

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from etcd import EtcdCluster
from fake_links import TOO_LATE, FakeLink
from programs import free_port

from hsm_cluster.address import Address
from hsm_node.core.keyring import Keyring
from hsm_node.core.statements import Confirmation, Seal
from hsm_node.store.base import StoreError, UnreachableStoreError
from hsm_node.store.check_record import ClusterRow, make_check_record
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.epochs import Epochs
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import encoded
from hsm_node.store.etcd.transactions import CHECK_KEY, get, only, told_key
from hsm_node.store.etcd.warming import Warming

OpenStore = Callable[..., EtcdStore]
NAME = b"n" * 32
PATIENCE_S = 15.0


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_current(store: EtcdStore) -> bool:
    try:
        if store.changed():
            store.rows_after(0)
            store.applied()
    except StoreError:
        return False
    return True


@pytest.fixture
def away() -> Address:
    """Of a DR site that nobody reaches."""
    return Address("127.0.0.1", free_port())


@pytest.fixture
def cold(open_etcd: OpenStore, away: Address) -> Callable[[str], EtcdStore]:
    """What opens the store for a node that does not reach the DR site."""
    open_etcd()  # The store is there.
    return lambda node: open_etcd(node=node, cold=True, addresses=[away], recovery=away)


def confirmation(store: EtcdStore, keyring: Keyring, node: str) -> Confirmation | None:
    pair = only(store._calls.range(get(told_key(f"confirmed/{node}"))))
    seal = Seal(keyring.told_mac, store.cluster_id)
    return None if pair is None else seal.open(f"confirmed/{node}", pair.value, Confirmation)


def test_who_reads_the_dr_sites_epoch_is_warm_at_once(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    store = open_etcd(node="node-1", cold=True, recovery=etcd.addresses[0])
    assert not store._warming.cold
    until(lambda: is_current(store))
    assert store.create(NAME, b"1").data == b"1"


def test_without_it_a_node_is_stale_and_changes_nothing_until_an_operator_vouches(cold: Any) -> None:
    store = cold("node-1")
    store.rows_after(0)  # What is there may be used, as stale.
    for _ in range(2):
        store._probing.once()
        with pytest.raises(StoreError, match="does not know yet whether the DR site was promoted"):
            store.changed()
    with pytest.raises(UnreachableStoreError, match="hsmctl dr vouch"):
        store.create(NAME, b"1")
    store.vouch()
    store.vouch()
    until(lambda: is_current(store))
    store.create(NAME, b"1")


def test_a_warm_node_of_the_same_store_vouches_by_its_confirmation(
    cold: Any, open_etcd: OpenStore, keyring: Keyring
) -> None:
    warm = open_etcd(node="node-1")
    assert is_current(warm)
    store = cold("node-2")
    until(lambda: is_current(warm) and not store._warming.cold)
    said = confirmation(store, keyring, "node-1")
    assert said is not None
    assert said.warm
    assert said.revision >= store._saying.registered


def test_cold_nodes_do_not_vouch_for_each_other(cold: Any, keyring: Keyring) -> None:
    one, two = cold("node-1"), cold("node-2")
    for store in (one, two):
        store.rows_after(0)
        store.applied()
    until(
        lambda: (said := confirmation(one, keyring, "node-1")) is not None and said.revision >= two._saying.registered
    )
    said = confirmation(one, keyring, "node-1")
    assert said is not None
    assert not said.warm
    two._probing.once()
    assert one._warming.cold
    assert two._warming.cold


def test_where_nobody_knows_which_member_is_the_dr_sites_all_are_asked(open_etcd: OpenStore, away: Address) -> None:
    assert not open_etcd(cold=True, node="node-1")._warming.cold
    store = open_etcd(cold=True, node="node-2", addresses=[away])
    store._waits.vouched = lambda _revision: False  # type: ignore[method-assign]  # node-1 might.
    store._probing.once()
    assert store._warming.cold


def test_a_member_of_the_dr_site_that_is_a_store_of_its_own_warms_nobody(keyring: Keyring) -> None:
    keyring.make_store_keys()
    record = make_check_record(ClusterRow(b"c" * 16, "dev", 1), keyring)
    pair = KeyValue(key=CHECK_KEY, value=encoded(record, keyring))
    own, dr = FakeLink(1), FakeLink(2)
    own.kvs = dr.kvs = [pair]
    calls = Calls([own, dr])  # type: ignore[list-item]  # fakes
    calls.range(get(CHECK_KEY))
    waits: Any = SimpleNamespace(vouched=lambda _revision: False)
    saying: Any = SimpleNamespace(registered=1, ask=lambda: None, check=lambda: None)
    warming = Warming(calls, Epochs(record, pair.value, keyring, lambda _why: None), waits, saying, keyring)
    warming.begin(dr.address)
    dr.header.cluster_id = 8
    with pytest.raises(StoreError):
        warming.look()
    assert warming.cold
    dr.header.cluster_id = own.header.cluster_id
    warming.look()
    assert not warming.cold


def test_whether_the_dr_sites_member_is_of_the_followed_store_is_asked_of_itself(keyring: Keyring) -> None:
    keyring.make_store_keys()
    record = make_check_record(ClusterRow(b"c" * 16, "dev", 1), keyring)
    own, dr = FakeLink(1), FakeLink(2)
    own.kvs = [KeyValue(key=CHECK_KEY, value=encoded(record, keyring))]
    calls = Calls([own, dr])  # type: ignore[list-item]  # fakes
    calls.range(get(CHECK_KEY))
    nobody: Any = None
    warming = Warming(calls, Epochs(record, b"", keyring, lambda _why: None), nobody, nobody, keyring)
    assert warming.has_dr_member(), "nobody has said which member that is"
    warming.begin(dr.address)
    assert warming.has_dr_member()
    dr.header.cluster_id = 8
    assert not warming.has_dr_member()
    dr.failing_status = TOO_LATE
    with pytest.raises(UnreachableStoreError, match="the member at the DR site does not answer; start it"):
        warming.has_dr_member()
