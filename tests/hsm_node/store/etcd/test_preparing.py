"""MACs are made before the loop looks at rows."""

from collections.abc import Callable
from typing import Any

from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record, open_record, seal_record
from hsm_node.store.etcd.follow_state import Change
from hsm_node.store.etcd.preparing import preparation
from hsm_node.store.etcd.transactions import CHECK_KEY, key_of


def test_the_loop_asks_a_device_for_nothing_that_came_by_the_watch(
    make_record: Callable[..., Record], remote_keys: Any
) -> None:
    ring = Keyring(remote_keys)
    record = make_record()
    data, name = seal_record(record, ring), ring.name(*record.place)
    remote_keys.asked.clear()
    preparation(ring)([Change(key_of(name), 5, data), Change(key_of(name), 6, None), Change(CHECK_KEY, 7, b"x")])
    assert len(remote_keys.expected) == 1
    assert open_record(data, name, record.cluster_id, ring) == record
    assert remote_keys.asked == []


def test_a_device_that_is_gone_is_found_by_whoever_applies_the_rows(
    make_record: Callable[..., Record], remote_keys: Any
) -> None:
    ring = Keyring(remote_keys)
    change = Change(key_of(b"name"), 5, seal_record(make_record(), ring))
    remote_keys.gone = True
    preparation(ring)([change])
    assert remote_keys.expected == []


def test_a_key_of_this_process_needs_none(keyring: Keyring) -> None:
    preparation(keyring)([Change(key_of(b"name"), 5, b"no row")])
    assert not keyring.remote
