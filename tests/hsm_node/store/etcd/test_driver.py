"""What the driver adds to the conformance suite: the engine's own traits."""

import socket
import threading
from collections.abc import Callable

import pytest
from etcd import EtcdCluster
from programs import free_port
from test_watching import rows_of

from hsm_cluster.address import Address
from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import ReplacedStoreError, StoreError, UnreachableStoreError
from hsm_node.store.etcd import opening
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import MAX_COMPARES

OpenStore = Callable[..., EtcdStore]
NAME = b"n" * 32


def test_the_node_is_told_from_another_thread_that_rows_have_come(open_etcd: OpenStore) -> None:
    one, two = open_etcd(), open_etcd()
    told = threading.Event()
    two.tell(told.set)
    one.create(NAME, b"1")
    assert told.wait(10)
    assert two.changed()
    assert two.revision >= 1


def test_a_change_whose_answer_was_lost_finds_itself(open_etcd: OpenStore) -> None:
    store = open_etcd()
    row = store.create(NAME, b"1")
    changed = store.change(NAME, row.revision, b"2")
    assert changed is not None
    assert store.change(NAME, row.revision, b"2") == changed
    assert store.create(NAME, b"1") == changed


@pytest.mark.parametrize("size", [1_600_000, 2_100_000])
def test_a_record_above_etcds_limit_is_refused_and_certainly_not_stored(open_etcd: OpenStore, size: int) -> None:
    store = open_etcd()
    with pytest.raises(UnreachableStoreError, match="larger than the store takes"):
        store.create(NAME, b"x" * size)
    assert store.read(NAME) is None


def test_a_reseal_that_compares_more_rows_than_etcd_does_is_refused(open_etcd: OpenStore, keyring: Keyring) -> None:
    store = open_etcd()
    assert store.reseal(keyring, 1, {})
    with pytest.raises(StoreError, match="at most 127 rows"):
        store.reseal(keyring, 1, {b"%032d" % number: 1 for number in range(MAX_COMPARES + 1)})
    rows = [store.create(b"%032d" % number, b"1") for number in range(MAX_COMPARES)]
    assert store.reseal(keyring, 1, {row.name: row.revision for row in rows})


def test_a_check_record_that_is_gone_is_an_error(etcd: EtcdCluster, open_etcd: OpenStore, keyring: Keyring) -> None:
    store = open_etcd()
    etcd.empty()
    with pytest.raises(StoreError, match="check record is gone"):
        store.master_key_version(keyring)
    with pytest.raises(StoreError, match="check record is gone, and nothing is written"):
        store.create(NAME, b"1")
    assert store.read(NAME) is None


def test_nothing_is_written_to_another_store_in_its_place(
    etcd: EtcdCluster, open_etcd: OpenStore, other_keyring: Keyring
) -> None:
    store = open_etcd()
    row = store.create(NAME, b"1")
    etcd.empty()
    open_etcd(other_keyring)
    for write in (lambda: store.create(NAME, b"1"), lambda: store.change(NAME, row.revision, b"2")):
        with pytest.raises(ReplacedStoreError, match="check record is another store's"):
            write()
    assert store.read(NAME) is None


def test_writes_go_on_while_others_rotate_the_master_key(open_etcd: OpenStore, keyring: Keyring) -> None:
    one, two = open_etcd(), open_etcd()
    keyring.hold(b"2" * 32, 2)
    assert one.reseal(keyring, 2, {})
    row = two.create(NAME, b"1")
    assert two.change(NAME, row.revision, b"2") is not None


def test_a_store_that_cannot_be_reached_is_one_line_with_what_to_do(
    keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "OPEN_S", 0.3)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = Address("127.0.0.1", free.getsockname()[1])
        before = threading.active_count()
        with pytest.raises(
            StartError, match=r"^etcd at 127\.0\.0\.1:\d+: the store cannot be used .*\[store\]"
        ) as caught:
            EtcdStore([address], None, "dev", keyring)
    assert "\n" not in str(caught.value)
    assert threading.active_count() <= before


def test_the_first_member_of_the_file_that_answers_is_used(etcd: EtcdCluster, keyring: Keyring) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = Address("127.0.0.1", free.getsockname()[1])
        EtcdStore(etcd.addresses, None, "dev", keyring).close()
        store = EtcdStore([nobody, *etcd.addresses], None, "dev", keyring)
        assert store.create(NAME, b"1") == store.read(NAME)
        store.close()


def test_other_members_are_used_after_a_renewal_and_what_was_written_meanwhile_arrives(
    etcd: EtcdCluster, open_etcd: OpenStore
) -> None:
    store, other = open_etcd(), open_etcd()
    [member] = etcd.addresses
    nobody = Address("127.0.0.1", free_port())
    store.renew([nobody, member])
    assert set(store.members) == {str(nobody), str(member)}
    made = other.create(NAME, b"1")
    assert rows_of(store, 1) == [made]
    store.renew([member])
    assert set(store.members) == {str(member)}
    assert store.change(NAME, made.revision, b"2") is not None
    store.renew()
    assert set(store.members) == {str(member)}
