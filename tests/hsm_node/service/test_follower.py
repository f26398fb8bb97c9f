import gc
import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_node.core.confirmations import CURRENT_S
from hsm_node.core.envelopes import Reason
from hsm_node.core.node_states import next_node_state, seal_node_state
from hsm_node.core.records import Record, next_record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, Row, StoreError
from hsm_wire.administration import SetNodeState
from hsm_wire.kinds import Flag
from hsm_wire.mechanisms import CKM_SHA256_HMAC
from hsm_wire.messages import NIL_PARAMETERS, DescribeKey, GenerateKey, Policy, Sign
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag

Start = Callable[[], Any]


def states_of(node: Any, *states: str) -> list[Any]:
    """Return rows of node-1's state after each change, without their revisions."""
    ring = node.keystore.follower._keyring
    rows, record = [], None
    for state in states:
        record = next_node_state(record, node.store.cluster_id, 1, "node-1", state, b"")
        rows.append((ring.node_name("node-1"), seal_node_state(record, ring)))
    return rows


async def test_a_record_changed_in_the_store_is_refused_and_counted(start_node: Start, node_folder: Path) -> None:
    node = start_node()
    client = await node.client()
    key = os.urandom(16)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "ec-p256"))
    connection = sqlite3.connect(node_folder / "store.db")
    with connection:
        (data,) = connection.execute("SELECT data FROM records").fetchone()
        connection.execute("UPDATE records SET data = ?, revision = revision + 1", (data[:-1] + bytes([data[-1] ^ 1]),))
    connection.close()
    assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).status == Status.RECORD_DAMAGED
    assert len(node.keystore.follower.refused) == 1
    assert node.keystore.table.live == 0


async def test_a_node_that_cannot_read_its_store_serves_no_key(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    node.store.close()
    read = await client.call(Opcode.DESCRIBE_KEY, DescribeKey(os.urandom(16)))
    change = await client.call(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "ec-p256"))
    assert (read.status, change.status) == (Status.NOT_CURRENT, Status.STORE_UNAVAILABLE)
    assert read.flags == change.flags == 3  # not executed, stale


async def test_an_older_row_does_not_undo_a_newer_state(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, states_of(node, "drain", "ready")
    follower.take_any(Row(rows[1][0], 6, rows[1][1]))
    follower.take_any(Row(rows[0][0], 5, rows[0][1]))
    assert node.keystore.administration.state_of("node-1") == "ready"
    assert not follower.refused


async def test_an_earlier_version_at_a_later_revision_is_refused_and_changes_nothing(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, states_of(node, "drain", "ready")
    follower.take_any(Row(rows[1][0], 6, rows[1][1]))
    follower.take_any(Row(rows[0][0], 7, rows[0][1]))
    assert node.keystore.administration.state_of("node-1") == "ready"
    assert [row.revision for row in follower.refused.values()] == [7]


async def test_an_older_authentic_row_does_not_make_up_for_a_damaged_one(
    start_node: Start, make_record: Callable[..., Record]
) -> None:
    node = start_node()
    await node.client()
    follower, ring = node.keystore.follower, node.keystore.follower._keyring
    record = make_record(cluster_id=node.store.cluster_id)
    name, good = ring.name(record.partition, record.key_id), seal_record(record, ring)
    assert follower.take(Row(name, 4, good)).record == record
    for row in (Row(name, 6, good[:-1] + bytes([good[-1] ^ 1])), Row(name, 5, good)):
        with pytest.raises(Refusal) as refused:
            follower.take(row)
        assert refused.value.status is Status.RECORD_DAMAGED
    assert follower.take(Row(name, 7, good)).revision == 7
    assert not follower.refused


def versions_of(node: Any, make_record: Callable[..., Record], count: int) -> list[Row]:
    """Return that many versions of a key's row, at revisions 1 to count."""
    ring = node.keystore.follower._keyring
    record = make_record(cluster_id=node.store.cluster_id)
    rows = []
    for revision in range(1, count + 1):
        rows.append(Row(ring.name(record.partition, record.key_id), revision, seal_record(record, ring)))
        record = next_record(record, label=f"label {revision}")
    return rows


async def test_a_row_that_a_thread_brings_late_is_not_taken_for_an_attack(
    start_node: Start, make_record: Callable[..., Record]
) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, versions_of(node, make_record, 3)
    for row in (rows[0], rows[2], rows[1], rows[2]):
        entry = follower.take(row)
    assert (entry.record.version, entry.revision) == (3, 3)
    assert not follower.refused


async def test_an_old_row_at_a_new_revision_is_refused_and_so_is_another_of_the_same_count(
    start_node: Start, make_record: Callable[..., Record]
) -> None:
    node = start_node()
    await node.client()
    follower, rows = node.keystore.follower, versions_of(node, make_record, 3)
    ring = follower._keyring
    for row in rows:
        follower.take(row)
    # Sealed twice, a record has two sets of bytes; a node never writes the second.
    other = seal_record(make_record(cluster_id=node.store.cluster_id, version=3, label="other"), ring)
    for data, text in ((rows[0].data, "older than one"), (other, "another one than")):
        with pytest.raises(Refusal):
            follower.take(Row(rows[0].name, 9, data))
        (refused,) = follower.refused.values()
        assert text in refused.text
        assert (refused.reason, node.keystore.table.live) == (Reason.OLDER, 0)
    assert follower.refused_by_reason == {str(reason): int(reason is Reason.OLDER) for reason in Reason}
    follower.take(Row(rows[0].name, 10, rows[2].data))
    assert not follower.refused


async def test_a_row_that_is_out_of_order_is_named_once_and_hides_no_other(
    start_node: Start, node_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    client = await node.client()
    for _ in range(3):
        connection = sqlite3.connect(node_folder / "store.db")
        with connection:
            connection.execute("INSERT OR REPLACE INTO records VALUES (zeroblob(32), 1000000, x'01')")
        connection.close()
        key = os.urandom(16)
        await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "hmac-256"))
        node.keystore.follower.follow()
        assert (await client.call(Opcode.DESCRIBE_KEY, DescribeKey(key))).status == Status.OK
    assert node.keystore.follower.applied_revision == 3
    assert node.keystore.follower.refused_by_reason["malformed"] == 1


async def test_a_name_that_was_seen_and_is_missing_is_refused_until_it_is_back(
    start_node: Start, make_record: Callable[..., Record]
) -> None:
    node = start_node()
    await node.client()
    follower = node.keystore.follower
    (row,) = versions_of(node, make_record, 1)
    follower.ledger.see(row.name, 1, row.data)
    follower._compare_with_seen(set())
    with pytest.raises(Refusal, match="damaged"):
        follower.lookup(1, b"k" * 16)
    assert follower.take(row).record.version == 1
    assert not follower.refused


async def test_an_operator_sets_a_state_again_whose_row_is_missing(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    client.bind(8, "spiffe://dev/operator/op", 0, ("operate",))
    follower, name = node.keystore.follower, node.keystore.follower._keyring.node_name("node-1")
    follower.ledger.see(name, 4, b"drain")
    follower._compare_with_seen(set())
    assert follower.refused[name].reason is Reason.MISSING
    for operation in (1, 2, 3, 4, 5):
        await client.call(Opcode.SET_NODE_STATE, SetNodeState("node-1", "drain"), principal=8, operation_id=operation)
    assert node.keystore.administration.state_of("node-1") == "drain"
    assert not follower.refused


class FailingStore:
    """Raises what it is told to."""

    cluster_id = b"c" * 16
    serves_stale = False

    def __init__(self) -> None:
        self.error: StoreError | None = None
        self.contact: float | None = None

    def changed(self) -> bool:
        if self.error is not None:
            raise self.error
        return True

    def rows_after(self, _revision: int) -> list[Row]:
        return []

    def applied(self) -> None:
        self.contact = clock.boottime()


async def test_another_store_in_its_place_is_counted_once_until_it_is_back(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower, store = node.keystore.follower, FailingStore()
    follower._store = store
    for error in (StoreError("gone"), None, ReplacedStoreError("another"), ReplacedStoreError("another"), None):
        store.error = error
        follower.follow()
        assert follower.current is (error is None)
    assert follower.replaced == 1


async def test_keys_are_used_without_contact_where_the_store_is_of_that_kind_but_never_another_stores(
    start_node: Start,
) -> None:
    node = start_node()
    await node.client()
    follower, store = node.keystore.follower, FailingStore()
    follower._store = store
    for serves_stale in (False, True):
        store.serves_stale = serves_stale
        for error, usable in ((StoreError("away"), serves_stale), (ReplacedStoreError("another"), False), (None, True)):
            store.error = error
            follower.follow()
            assert follower.usable is usable, (serves_stale, error)


@pytest.mark.parametrize(
    ("error", "said"),
    [(StoreError("no leader"), "cannot reach its store"), (HaltedStoreError("full"), "operators must look at it")],
)
async def test_without_contact_a_change_is_refused_with_what_is_known_of_the_store(
    start_node: Start, text_of: Callable[..., str], error: StoreError, said: str
) -> None:
    node = start_node()
    client = await node.client()
    store = FailingStore()
    store.serves_stale, store.error = True, error
    node.keystore.follower._store = store
    refused = await client.call(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "ec-p256"))
    assert (refused.status, refused.flags) == (Status.STORE_UNAVAILABLE, 3)  # not executed, stale
    assert said in text_of(refused)
    store.error = None
    node.keystore.follower.follow()
    assert not node.keystore.follower.is_halted


async def test_the_collector_runs_again_after_loading(start_node: Start) -> None:
    node = start_node()
    await node.client()
    assert gc.isenabled()


async def test_a_row_of_no_kind_is_refused_for_what_it_is(start_node: Start) -> None:
    node = start_node()
    await node.client()
    follower = node.keystore.follower
    follower.take_any(Row(b"f" * 32, 3, b"\x93\x09\xc4\x00\xc4\x00"))
    follower.take_any(Row(b"m" * 32, 4, b"no envelope"))
    assert [row.reason for row in follower.refused.values()] == [Reason.FORMAT, Reason.MALFORMED]


async def test_each_time_that_the_store_goes_or_comes_back_has_one_line(
    start_node: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    await node.client()
    follower = node.keystore.follower
    changed = follower._store.changed

    def fail() -> bool:
        raise StoreError("gone")

    with caplog.at_level(logging.INFO, "hsm_node.follower"):
        follower.doubt()  # by a stall: the store itself is there
        follower.follow()
        assert caplog.messages == []
        follower.doubt()
        monkeypatch.setattr(follower._store, "changed", fail)
        for _ in range(3):
            follower.follow()
            assert not follower.current
        monkeypatch.setattr(follower._store, "changed", changed)
        for _ in range(3):
            follower.follow()
        assert caplog.messages == ["the store cannot be read", "the store can be read again"]
        assert follower.current


async def test_a_node_is_current_for_a_second_after_the_begin_of_its_last_contact_and_not_once_it_has_stood_still(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    await node.client()
    follower, store = node.keystore.follower, FailingStore()
    follower._store, store.serves_stale = store, True
    now = [clock.boottime()]
    monkeypatch.setattr(clock, "boottime", lambda: now[0])
    follower.follow()
    now[0] += CURRENT_S - 0.001
    assert follower.current
    now[0] += 0.001
    assert not follower.current  # without another look: by the clock alone
    follower.follow()
    assert follower.current
    follower.doubt()
    now[0] += 0.001
    assert follower.current  # of a contact that is as old as the standstill, nothing is known
    store.applied = lambda: None  # no newer contact
    follower.doubt()
    follower.follow()
    assert not follower.current


async def test_keys_of_policy_strict_are_refused_while_the_node_is_stale_and_others_are_used(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = start_node()
    client = await node.client()
    strict, other = os.urandom(16), os.urandom(16)
    for key, flags in ((strict, PolicyFlag.STRICT), (other, 0)):
        await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "hmac-256", policy=Policy(int(flags))))
    monkeypatch.setattr(type(node.store), "serves_stale", True)

    def away() -> bool:
        raise StoreError("away")

    monkeypatch.setattr(node.store, "changed", away)
    refused = await client.call(Opcode.SIGN, Sign(strict, CKM_SHA256_HMAC, NIL_PARAMETERS, b"m"))
    assert (refused.status, refused.flags) == (Status.NOT_CURRENT, Flag.NOT_EXECUTED | Flag.STALE)
    served = await client.call(Opcode.SIGN, Sign(other, CKM_SHA256_HMAC, NIL_PARAMETERS, b"m"))
    assert (served.status, served.flags) == (Status.OK, Flag.STALE)
    monkeypatch.undo()
    again = await client.call(Opcode.SIGN, Sign(strict, CKM_SHA256_HMAC, NIL_PARAMETERS, b"m"))
    assert (again.status, again.flags) == (Status.OK, 0)
