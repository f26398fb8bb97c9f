"""The stores of both sides of a promotion: which member of each is read, and what of it."""

from collections.abc import Callable
from typing import Any

import pytest
from fake_links import NO_LEADER, FakeLink

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import StoreError
from hsm_node.store.check_record import ClusterRow, make_check_record
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.epochs import Epochs
from hsm_node.store.etcd.messages_pb2 import Header, KeyValue
from hsm_node.store.etcd.opening import encoded
from hsm_node.store.etcd.sides import MemberSnapshot, find_both_sides, find_left_behind
from hsm_node.store.etcd.transactions import CHECK_KEY

OpenStore = Callable[..., EtcdStore]
ID = b"c" * 16


def member(keyring: Keyring, port: int, epoch: int, revision: int, cluster_id: bytes = ID) -> Any:
    record = make_check_record(ClusterRow(cluster_id, "dev", epoch), keyring)
    link = FakeLink(port)
    link.header = Header(cluster_id=port, revision=revision)
    link.kvs = [KeyValue(key=CHECK_KEY, value=encoded(record, keyring))]
    return link


@pytest.fixture
def epochs(keyring: Keyring) -> Epochs:
    keyring.make_store_keys()
    return Epochs(make_check_record(ClusterRow(ID, "dev", 3), keyring), b"", keyring, lambda _reason: None)


def test_the_member_that_came_furthest_in_a_lower_epoch_is_read(keyring: Keyring, epochs: Epochs) -> None:
    links = [
        member(keyring, 1, 3, 900),
        member(keyring, 2, 2, 50),
        member(keyring, 3, 2, 60),
        member(keyring, 4, 1, 800),
        member(keyring, 5, 2, 999, b"d" * 16),
    ]
    found = find_left_behind(links, epochs)
    assert found is not None
    assert (found.place, found.epoch, found.snapshot.revision) == ("127.0.0.1:3", 2, 60)
    links[2].failing = NO_LEADER
    second = find_left_behind(links, epochs)
    assert second is not None
    assert second.place == "127.0.0.1:2"


def test_where_nobody_answers_or_was_left_behind_there_is_none(
    keyring: Keyring, other_keyring: Keyring, epochs: Epochs
) -> None:
    forged = member(keyring, 1, 2, 5)
    other_keyring.make_store_keys()
    forged.kvs = member(other_keyring, 1, 2, 5).kvs
    empty, closed = FakeLink(2), member(keyring, 3, 2, 5)
    closed.close()
    assert find_left_behind([forged, empty, closed, member(keyring, 4, 3, 9)], epochs) is None  # type: ignore[list-item]


def test_whoever_was_left_behind_finds_its_own_store_and_the_one_that_went_on(keyring: Keyring, epochs: Epochs) -> None:
    links = [member(keyring, 1, 3, 50), member(keyring, 2, 3, 60), member(keyring, 3, 2, 900), member(keyring, 4, 4, 9)]
    assert find_both_sides(links[:3], epochs) is None
    both = find_both_sides([*links, member(keyring, 5, 5, 7)], epochs)
    assert both is not None
    assert [(side.place, side.epoch) for side in both] == [("127.0.0.1:2", 3), ("127.0.0.1:5", 5)]


def test_a_member_that_is_lost_while_it_is_read_is_no_end_of_it(keyring: Keyring) -> None:
    link = member(keyring, 1, 2, 60)
    snapshot = MemberSnapshot(link, 60)
    link.failing = NO_LEADER
    with pytest.raises(StoreError, match="the member 127.0.0.1:1: .*no leader"):
        snapshot.read()


def test_all_rows_of_a_member_are_read_at_one_revision(open_etcd: OpenStore) -> None:
    store = open_etcd()
    names = sorted(bytes([number]) * 32 for number in range(5))
    for name in names:
        store.create(name, b"row")
    revision = store.copy.newest()
    store.create(b"z" * 32, b"later")
    snapshot = MemberSnapshot(store._calls.links[0], revision)
    rows = snapshot.read()
    assert ([row.name for row in rows], snapshot.read()) == (names, [])
    snapshot.close()
    assert store.left_behind() is None
    assert store.both_sides() is None
