"""Which epoch the store has, and what is done where a higher one was seen."""

from collections.abc import Callable

import msgspec
import pytest
from etcd import EtcdCluster

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.check_record import CheckRecord, ClusterRow, make_check_record
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.epochs import Epochs, authentic, nowhere
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import encoded
from hsm_node.store.etcd.transactions import CHECK_KEY
from hsm_wire.statuses import Status

OpenStore = Callable[..., EtcdStore]
ID = b"c" * 16


class Followed:
    """A store's epochs, what was written to disk, and why the node is fenced."""

    def __init__(self, keyring: Keyring, epoch: int = 1) -> None:
        keyring.make_store_keys()
        self.keyring = keyring
        self.record = make_check_record(ClusterRow(ID, "dev", epoch), keyring)
        self.kept: list[tuple[bytes, int]] = []
        self.fenced: list[str] = []
        self.epochs = Epochs(self.record, self.pair().value, keyring, self.fenced.append)
        self.epochs.remember(epoch, lambda cluster, seen: self.kept.append((cluster, seen)))

    def pair(self, **changes: object) -> KeyValue:
        record: CheckRecord = msgspec.structs.replace(self.record, **changes)
        return KeyValue(key=CHECK_KEY, value=encoded(record, self.keyring), mod_revision=1)


@pytest.fixture
def followed(keyring: Keyring) -> Followed:
    return Followed(keyring)


def test_a_higher_epoch_of_the_followed_store_is_kept_and_taken_up(followed: Followed) -> None:
    followed.epochs.read(None)
    followed.epochs.read(followed.pair())
    assert (followed.kept, followed.epochs.record.promoted) == ([], False)
    followed.epochs.read(followed.pair(epoch=2, promoted=True))
    assert (followed.kept, followed.fenced) == ([(ID, 2)], [])
    assert (followed.epochs.record.epoch, followed.epochs.record.promoted) == (2, True)
    followed.epochs.read(followed.pair(epoch=2))  # The DR site stands by again.
    assert (followed.epochs.record.epoch, followed.epochs.record.promoted) == (2, False)


def test_a_store_that_falls_behind_what_was_seen_is_not_served(followed: Followed) -> None:
    followed.epochs.read(followed.pair(epoch=3))
    followed.epochs.read(followed.pair(epoch=2))
    assert "epoch 2, and epoch 3 was seen" in followed.fenced[0]
    assert followed.epochs.record.epoch == 3


def test_what_was_seen_in_an_earlier_life_fences_from_the_beginning(followed: Followed) -> None:
    followed.epochs.remember(2, nowhere)
    assert "the DR site was promoted" in followed.fenced[0]


def test_another_store_that_has_gone_on_fences_and_is_kept(followed: Followed) -> None:
    followed.epochs.shown([followed.pair(), followed.pair(cluster_id=b"d" * 16, epoch=9)])
    assert (followed.kept, followed.fenced) == ([], [])
    followed.epochs.shown([followed.pair(epoch=2)])
    followed.epochs.shown([followed.pair(epoch=2)])
    assert followed.kept == [(ID, 2)]
    assert "epoch 1, and epoch 2 was seen" in followed.fenced[0]
    assert followed.epochs.record.epoch == 1


def test_a_node_is_fenced_no_more_when_its_store_has_got_an_epoch_as_high_as_all_that_it_has_seen(
    keyring: Keyring,
) -> None:
    followed, lifted = Followed(keyring), list[str]()
    epochs = followed.epochs
    epochs.remember(3, lambda cluster, seen: followed.kept.append((cluster, seen)))
    epochs.shown([followed.pair(epoch=2), followed.pair(epoch=4)])
    assert (epochs.outlived, epochs.seen, epochs.has_caught_up) == (followed.fenced[0], 4, False)
    epochs.read(followed.pair(epoch=3))  # Below what was shown since: nothing is taken up.
    epochs.lift(lifted.append)
    assert (epochs.record.epoch, lifted) == (1, [])
    epochs.read(followed.pair(epoch=5, promoted=True))
    assert epochs.has_caught_up
    epochs.lift(lifted.append)
    epochs.lift(lifted.append)
    assert (lifted, epochs.outlived, epochs.has_caught_up) == ([followed.fenced[0]], "", False)
    assert followed.kept == [(ID, 4), (ID, 5)]


def test_a_store_whose_epoch_has_fallen_while_it_was_followed_is_served_by_nobody_who_saw_that(
    followed: Followed,
) -> None:
    followed.epochs.read(followed.pair(epoch=3))
    followed.epochs.read(followed.pair(epoch=2))
    followed.epochs.read(followed.pair(epoch=4))
    assert (followed.epochs.outlived, followed.epochs.has_caught_up) == ("", False)


def test_the_sides_of_a_promotion_are_told_by_their_epochs(keyring: Keyring) -> None:
    followed = Followed(keyring, epoch=3)
    assert [followed.epochs.of(followed.pair(epoch=epoch)) for epoch in (2, 3, 4)] == [2, 3, 4]
    assert followed.epochs.of(followed.pair(epoch=2, cluster_id=b"d" * 16)) == 0
    followed.epochs.shown([followed.pair(epoch=5)])
    assert (followed.epochs.record.epoch, followed.epochs.seen) == (3, 5)


def test_what_no_node_has_written_says_nothing(followed: Followed, other_keyring: Keyring) -> None:
    forged = KeyValue(value=encoded(msgspec.structs.replace(followed.record, epoch=9), other_keyring))
    for pair in (forged, KeyValue(value=b"no check record")):
        followed.epochs.read(pair)
        followed.epochs.shown([pair])
        assert authentic(pair, followed.keyring) is None
    assert (followed.kept, followed.fenced, followed.epochs.record.epoch) == ([], [], 1)


def test_an_epoch_that_the_disk_does_not_take_is_not_acted_on(followed: Followed) -> None:
    def full(_cluster: bytes, _epoch: int) -> None:
        raise StartError("no space")

    followed.epochs.remember(1, full)
    for tell in (followed.epochs.read, lambda pair: followed.epochs.shown([pair])):
        with pytest.raises(StoreError, match="epoch 2 was seen, and cannot be kept: no space"):
            tell(followed.pair(epoch=2))
    assert followed.epochs.record.epoch == 1
    (reason,) = followed.fenced
    assert "epoch 1, and epoch 2 was seen" in reason, "a full disk is no reason to serve what was left behind"


def test_while_its_device_does_not_answer_nothing_is_concluded(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_ring: Keyring, _message: bytes, _mac: bytes) -> bool:
        raise Refusal(Status.DEVICE_ERROR, "the device does not answer")

    monkeypatch.setattr(Keyring, "mac_matches", away)
    with pytest.raises(StoreError, match="the device does not answer"):
        followed.epochs.read(followed.pair(epoch=2))
    assert (followed.kept, followed.fenced, followed.epochs.record.epoch) == ([], [], 1)


def test_a_node_that_has_seen_a_higher_epoch_comes_up_fenced_and_registers_nothing(
    etcd: EtcdCluster, open_etcd: OpenStore, keyring: Keyring
) -> None:
    open_etcd()
    store = EtcdStore(etcd.addresses, etcd.tls, "dev", keyring, node="node-1", seen_epoch=2)
    try:
        assert store.fenced
        with pytest.raises(ReplacedStoreError, match="epoch 2 was seen"):
            store.create(b"n" * 32, b"1")
        assert "node-1" not in store._waits._nodes.known
    finally:
        store.close()
