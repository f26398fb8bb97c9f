"""The check record in a real etcd."""

import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from etcd import EtcdCluster
from programs import free_port

from hsm_cluster.address import Address
from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.etcd import opening
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.transactions import CHECK_KEY, ROW_PREFIX
from hsm_node.store.migration.mark import MARK_SCHEMA

OpenStore = Callable[..., EtcdStore]


def value_of(etcd: EtcdCluster) -> bytes:
    [pair] = etcd.ctl("get", CHECK_KEY.decode())["kvs"]
    return base64.b64decode(pair["value"])


def write(etcd: EtcdCluster, value: bytes) -> None:
    etcd.put(CHECK_KEY, value)


def test_a_store_that_was_used_and_is_empty_is_not_made_again(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    with pytest.raises(StartError, match=r"the store that this node used is empty; .*\[store\] endpoints"):
        open_etcd(make=False)
    assert "kvs" not in etcd.ctl("get", "", "--prefix")


def test_another_node_than_the_first_makes_no_store_and_says_who_does(
    etcd: EtcdCluster, open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "MAKER_S", 0.5)
    wanted = r"it has no store, and only zrh-1, the first node of cluster\.toml, makes one; .*\[store\] endpoints"
    with pytest.raises(StartError, match=wanted):
        open_etcd(make=False, maker="zrh-1")
    assert "kvs" not in etcd.ctl("get", "", "--prefix")


def test_another_node_than_the_first_waits_until_that_has_made_the_store(open_etcd: OpenStore) -> None:
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(open_etcd, Keyring(bytes(range(32))), make=False, maker="zrh-1")
        assert not second.done()
        first = open_etcd(Keyring(bytes(range(32))))
        assert second.result(opening.MAKER_S).cluster_id == first.cluster_id


def test_no_store_is_made_where_half_of_the_members_do_not_answer(
    etcd: EtcdCluster, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "OPEN_S", 1.0)
    nobody = Address("127.0.0.1", free_port())
    with pytest.raises(StartError, match="more than half of its members answer, and 1 of 2 do; start them, or correct"):
        EtcdStore([*etcd.addresses, nobody], None, "dev", keyring)
    assert "kvs" not in etcd.ctl("get", "", "--prefix")


def test_records_without_a_check_record_are_damage(etcd: EtcdCluster, open_etcd: OpenStore) -> None:
    etcd.put(ROW_PREFIX + b"n" * 32, b"d")
    with pytest.raises(StartError, match="no check record"):
        open_etcd()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": MARK_SCHEMA}, "a move .* has not ended: run `hsmctl store migrate` again"),
        ({"schema": 3}, "schema version 3, this program knows 2; upgrade hsm-node"),
        ({"schema": 0}, "damaged"),
        ({"mac": b"\0" * 32}, "master key"),
        ({"record": {}}, "damaged"),
        ({"more": 1}, "damaged"),
    ],
)
def test_a_check_record_that_was_changed_is_refused_and_left_as_it_is(
    etcd: EtcdCluster, open_etcd: OpenStore, change: dict[str, object], said: str
) -> None:
    open_etcd().close()
    kept = msgspec.msgpack.decode(value_of(etcd))
    changed = msgspec.msgpack.encode({**kept, **change})
    write(etcd, changed)
    with pytest.raises(StartError, match=said):
        open_etcd()
    assert value_of(etcd) == changed


@pytest.mark.parametrize("field", ["epoch", "name", "cluster_id", "naming_key", "master_key_version"])
def test_each_field_of_the_check_record_is_authenticated(
    etcd: EtcdCluster, open_etcd: OpenStore, keyring: Keyring, field: str
) -> None:
    open_etcd().close()
    kept = msgspec.msgpack.decode(value_of(etcd))
    old = kept["record"][field]
    other: object = 2 if isinstance(old, int) else old[::-1]
    cluster = "ved" if field == "name" else "dev"
    write(etcd, msgspec.msgpack.encode({**kept, "record": {**kept["record"], field: other}}))
    with pytest.raises(StartError, match="master key"):
        open_etcd(None, cluster)


def test_nothing_in_the_store_is_a_key_in_clear(etcd: EtcdCluster, open_etcd: OpenStore, keyring: Keyring) -> None:
    open_etcd().close()
    for key in (keyring._naming_key, keyring._digest_key, bytes(range(32))):
        assert key not in value_of(etcd)
