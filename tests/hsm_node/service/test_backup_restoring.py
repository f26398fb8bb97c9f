"""RESTORE_BACKUP between two clusters, and into the one that a backup is of."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from backup_desk import USER, Desk, counts, details, two_sides

from hsm_daemon import clock
from hsm_node.core.envelopes import Reason, RecordError
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.store.base import Row
from hsm_wire import mechanisms as ckm
from hsm_wire.backup_messages import BackupPart, BackupReading, RestoreBackup, RestoreChoice
from hsm_wire.messages import (
    NIL_PARAMETERS,
    DescribeKey,
    DestroyKey,
    Empty,
    GenerateKey,
    KeyInfo,
    Policy,
    Sign,
    SignResult,
    Unconfirmed,
    UpdateKey,
    decode_body,
)
from hsm_wire.objects import DestroyObject, ReadObject, ReadObjectResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]


@pytest.fixture
async def elsewhere(node_in: Callable[..., Any], tmp_path: Path) -> AsyncIterator[Desk]:
    """A node of another cluster, with the same master key."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    node = node_in(folder, "stall_s = 60")
    yield Desk(node)
    await node.stop()


async def sign(desk: Desk, key: bytes) -> bytes:
    body = Sign(key, ckm.CKM_ECDSA_SHA256, NIL_PARAMETERS, b"data")
    return (await desk.ask(Opcode.SIGN, body, SignResult, USER)).signature


async def describe(desk: Desk, key: bytes) -> KeyInfo:
    return await desk.ask(Opcode.DESCRIBE_KEY, DescribeKey(key), KeyInfo, USER)


async def update(desk: Desk, key: bytes, **fields: Any) -> None:
    await desk.ask(Opcode.UPDATE_KEY, UpdateKey(key, 0, **fields), KeyInfo, USER)


async def destroy(desk: Desk, key: bytes, wait_s: int = 0) -> None:
    await desk.ask(Opcode.DESTROY_KEY, DestroyKey(key, wait_s), Empty, USER)


async def refused(desk: Desk, key: bytes) -> Status:
    with pytest.raises(Refusal) as error:
        await sign(desk, key)
    return error.value.status


async def test_an_empty_cluster_elsewhere_gets_all_of_it(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    keys = [await desk.key(f"key {number}") for number in range(40)]
    gone, off = keys.pop(), keys.pop()
    document = await desk.object(b"some document")
    await destroy(desk, gone)
    await update(desk, off, enabled=False)
    infos = [await describe(desk, key) for key in [*keys, off]]
    parts = await desk.backup()
    assert desk.keystore.store.cluster_id != elsewhere.keystore.store.cluster_id

    looked = await elsewhere.look(parts)
    assert counts(looked) == {"made": 40, "made, destroyed": 1}
    assert elsewhere.keystore.table.live == 0
    done = await elsewhere.restore(parts)
    assert counts(done) == counts(looked)
    assert [await describe(elsewhere, key) for key in [*keys, off]] == infos
    for key in keys:
        await sign(elsewhere, key)
    assert await refused(elsewhere, off) is Status.KEY_DISABLED
    assert await refused(elsewhere, gone) is Status.KEY_NOT_FOUND
    with pytest.raises(Refusal, match="belongs to another request"):
        await elsewhere.ask(Opcode.GENERATE_KEY, GenerateKey(gone, "ec-p256"), KeyInfo, USER)
    read = await elsewhere.ask(Opcode.READ_OBJECT, ReadObject(document), ReadObjectResult, USER)
    assert read.value == b"some document"
    # Once more there is nothing to do, and what is there goes into the next backup.
    assert counts(await elsewhere.restore(parts)) == {"there": 41}
    assert counts(await elsewhere.verify(await elsewhere.backup())) == {"authentic": 41, "destroyed": 1, "proven": 39}


async def test_an_interrupted_restore_goes_on(start_node: Start, elsewhere: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("hsm_node.core.backups.MAX_PART_ROWS", 2)
    desk = Desk(start_node())
    for _ in range(6):
        await desk.key()
    parts = await desk.backup()
    looked = await elsewhere.look(parts)
    for part in parts[1:3]:
        body = RestoreBackup(part, looked.reading, apply=True)
        await elsewhere.ask(Opcode.RESTORE_BACKUP, body, BackupReading)
    assert elsewhere.keystore.table.live == 4
    assert counts(await elsewhere.restore(parts)) == {"made": 2, "there": 4}


class Site(Desk):
    """Asks a node whose store has a member at the DR site: `has` it what it is asked for, or not."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.has = False
        self.asked: list[int] = []
        self.statuses: list[int] = []
        self.keystore.confirmations.recovery_site = "alps"
        self.keystore.store.copied = self.copied

    def copied(self, revision: int) -> "Future[bool]":
        self.asked.append(revision)
        future: Future[bool] = Future()
        future.set_result(self.has)
        return future

    def answer(self, request: Request, status: int, body: bytes) -> None:
        self.statuses.append(status)
        if status == Status.OK_DR_PENDING:
            body = bytes(decode_body(Unconfirmed, body).result)
        super().answer(request, status, body)


class Asked(Desk):
    """Asks a node that finds two others not to confirm; keeps the status of each answer, and who is named in it."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.answers: list[tuple[int, list[str]]] = []

    def unconfirmed(self, _revision: int) -> "Future[list[str]]":
        future: Future[list[str]] = Future()
        future.set_result(["node-3", "node-2"])
        return future

    def answer(self, request: Request, status: int, body: bytes) -> None:
        done = Unconfirmed([])
        if status == Status.OK_UNCONFIRMED:
            done = decode_body(Unconfirmed, body)
            body = bytes(done.result)
        self.answers.append((status, done.unconfirmed))
        super().answer(request, status, body)


async def test_under_durability_dr_each_part_waits_for_the_dr_site_also_where_all_is_there_already(
    start_node: Start, elsewhere: Desk, monkeypatch: Any
) -> None:
    monkeypatch.setattr("hsm_node.core.backups.MAX_PART_ROWS", 2)
    desk, site = Desk(start_node()), Site(elsewhere)
    for _ in range(3):
        await desk.key()
    parts = await desk.backup()
    site.keystore.durable_dr = True
    await site.look(parts)
    assert site.asked == []  # Nothing is made.
    site.statuses.clear()
    assert counts(await site.restore(parts)) == {"made": 3}
    assert site.statuses == [Status.OK] * 4 + [Status.OK_DR_PENDING] * 3
    assert site.asked == [2, 3, 3]
    site.has = True
    site.statuses.clear()
    assert counts(await site.restore(parts)) == {"there": 3}
    assert (set(site.statuses), site.asked[3:]) == ({Status.OK}, [2, 3, 3])


async def test_nodes_that_did_not_confirm_what_was_set_back_are_named_also_by_a_run_that_finds_it_so(
    start_node: Start, monkeypatch: Any
) -> None:
    desk = Asked(Desk(start_node()))
    tight, other = await desk.key("tight"), await desk.key("other")
    await update(desk, tight, enabled=False)
    parts = await desk.backup()
    for key in (tight, other):
        await update(desk, key, enabled=key == tight, label="new")
    monkeypatch.setattr(desk.keystore.store, "unconfirmed", desk.unconfirmed)
    choice = RestoreChoice(even_changed=["tight"])
    for outcome in ("set back", "there"):
        desk.answers.clear()
        assert counts(await desk.restore(parts, choice)) == {outcome: 1, "changed since": 1}
        assert await refused(desk, tight) is Status.KEY_DISABLED
        assert ["node-2", "node-3"] in [names for status, names in desk.answers if status == Status.OK_UNCONFIRMED]
        assert {status for status, _ in desk.answers} == {Status.OK, Status.OK_UNCONFIRMED}
    # What nobody has named is not set back, so nobody waits for it.
    desk.answers.clear()
    assert counts(await desk.restore(parts)) == {"there": 1, "changed since": 1}
    assert {status for status, _ in desk.answers} == {Status.OK}


async def test_nothing_is_done_before_all_of_it_was_read(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    await desk.key()
    parts = await desk.backup()
    for read in (parts[:1], parts[:2]):
        looked = await elsewhere.look(read)
        with pytest.raises(Refusal, match="before all of a backup was read"):
            body = RestoreBackup(parts[1], looked.reading, apply=True)
            await elsewhere.ask(Opcode.RESTORE_BACKUP, body, BackupReading)
    for wrong in ([*parts[:2], BackupPart(0, b"", b"")], [parts[0], parts[2]]):
        with pytest.raises(Refusal) as error:
            await elsewhere.restore(wrong)
        assert error.value.status is Status.BAD_DATA
    unknown = await elsewhere.look(parts, RestoreChoice(names=["nobody"]))
    assert unknown.unknown == ["nobody"]
    with pytest.raises(Refusal, match="begin anew"):
        body = RestoreBackup(parts[1], unknown.reading, apply=True)
        await elsewhere.ask(Opcode.RESTORE_BACKUP, body, BackupReading)
    assert elsewhere.keystore.table.live == 0


async def test_a_file_that_is_exchanged_between_the_runs_is_refused(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    await desk.key()
    parts, other = await desk.backup(), await desk.backup()
    looked = await elsewhere.look(parts)
    with pytest.raises(Refusal) as error:
        body = RestoreBackup(other[1], looked.reading, apply=True)
        await elsewhere.ask(Opcode.RESTORE_BACKUP, body, BackupReading)
    assert error.value.status is Status.BAD_DATA
    assert elsewhere.keystore.table.live == 0


async def test_a_run_that_writes_does_not_become_one_that_looks(start_node: Start) -> None:
    desk = Desk(start_node())
    await desk.key()
    parts = await desk.backup()
    looked = await desk.look(parts)
    await desk.ask(Opcode.RESTORE_BACKUP, RestoreBackup(parts[1], looked.reading, apply=True), BackupReading)
    with pytest.raises(Refusal, match="begin anew"):
        await desk.ask(Opcode.RESTORE_BACKUP, RestoreBackup(parts[2], looked.reading), BackupReading)


async def test_what_was_destroyed_or_disabled_since_stays_so_unless_it_is_named(start_node: Start) -> None:
    desk = Desk(start_node())
    destroyed, disabled, kept = await desk.key("gone"), await desk.key("off"), await desk.key()
    document = await desk.object()
    parts = await desk.backup()
    await destroy(desk, destroyed)
    await desk.ask(Opcode.DESTROY_OBJECT, DestroyObject(document), Empty, USER)
    await update(desk, disabled, enabled=False, label="new")
    done = await desk.restore(parts)
    assert counts(done) == {"there": 1, "destroyed since": 2, "changed since": 1}
    assert details(done, [destroyed, document, disabled]) == ["destroyed since", "destroyed since", "changed since"]
    assert await refused(desk, destroyed) is Status.KEY_NOT_FOUND
    assert await refused(desk, disabled) is Status.KEY_DISABLED

    choice = RestoreChoice(even_destroyed=["gone", document.hex()], even_changed=["off"])
    assert counts(await desk.restore(parts, choice)) == {"there": 1, "brought back": 2, "set back": 1}
    for key in (destroyed, disabled, kept):
        await sign(desk, key)
    assert (await describe(desk, disabled)).label == "off"
    assert (await desk.ask(Opcode.READ_OBJECT, ReadObject(document), ReadObjectResult, USER)).value == b"value"
    assert counts(await desk.restore(parts, choice)) == {"there": 4}
    # What came back goes its way as any other key does, and is destroyed for good.
    await destroy(desk, destroyed)
    assert counts(await desk.restore(parts)) == {"there": 3, "destroyed since": 1}


async def test_chosen_keys_and_partitions(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    one, two = await desk.key("one"), await desk.key("two")
    parts = await desk.backup()
    assert counts(await elsewhere.restore(parts, RestoreChoice(partition=2))) == {"not chosen": 2}
    assert counts(await elsewhere.restore(parts, RestoreChoice(names=[one.hex()]))) == {"made": 1, "not chosen": 1}
    await sign(elsewhere, one)
    assert counts(await elsewhere.restore(parts, RestoreChoice(names=["two"], partition=1))) == {
        "made": 1,
        "not chosen": 1,
    }
    await sign(elsewhere, two)


async def test_a_partition_that_the_cluster_does_not_have_is_named(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    key = await desk.key()
    parts = await desk.backup()
    elsewhere.keystore.partitions = frozenset({2})
    done = await elsewhere.restore(parts)
    assert [(item.record_id, item.outcome) for item in done.items] == [(key, "made")]
    assert "cluster.toml has no partition 1" in done.items[0].detail


async def test_a_key_whose_time_was_over_is_not_brought_back_unless_it_is_named(
    start_node: Start, elsewhere: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(start_node())
    due, other = await desk.key("due"), await desk.key("other")
    await destroy(desk, due, 60)
    parts = await desk.backup()
    now = clock.now() + 100
    monkeypatch.setattr("hsm_node.service.backup_restoring.clock.now", lambda: now)
    assert counts(await elsewhere.restore(parts)) == {"made": 1, "made, destroyed": 1}
    assert await refused(elsewhere, due) is Status.KEY_NOT_FOUND
    done = await elsewhere.restore(parts, RestoreChoice(even_destroyed=["due"]))
    assert counts(done) == {"there": 1, "brought back": 1}
    found = await describe(elsewhere, due)
    assert (found.enabled, found.destroy_at) == (False, 0)
    await sign(elsewhere, other)


async def test_a_damaged_record_is_replaced_when_it_is_named(start_node: Start) -> None:
    node = start_node()
    desk = Desk(node)
    damaged, missing = await desk.key("damaged"), await desk.key("other")
    parts = await desk.backup()
    with sqlite3.connect(node.config.store.path) as store:
        store.execute("UPDATE records SET data = substr(data, 1, 60), revision = 9 WHERE revision = 1")
        store.execute("UPDATE cluster SET revision = 9")
    store.close()
    done = await desk.restore(parts)
    assert counts(done) == {"damaged here": 1, "there": 1}
    assert await refused(desk, damaged) is Status.RECORD_DAMAGED
    done = await desk.restore(parts, RestoreChoice(even_destroyed=["damaged"]))
    assert counts(done) == {"brought back": 1, "there": 1}
    await sign(desk, damaged)
    await sign(desk, missing)
    await update(desk, damaged, label="goes on")


async def test_uses_that_were_counted_are_not_given_back(start_node: Start) -> None:
    desk = Desk(start_node())
    key = b"k" * 16
    body = GenerateKey(key, "ec-p256", "few", policy=Policy(max_uses=2))
    await desk.ask(Opcode.GENERATE_KEY, body, KeyInfo, USER)
    parts = await desk.backup()
    await sign(desk, key)
    await destroy(desk, key)
    await desk.restore(parts, RestoreChoice(even_destroyed=["few"]))
    await sign(desk, key)
    assert await refused(desk, key) is Status.KEY_USAGE


async def test_records_that_are_changed_meanwhile_are_looked_at_anew(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    for _ in range(20):
        await desk.key()
    parts = await desk.backup()
    first, second = Desk(_Same(elsewhere)), Desk(_Same(elsewhere))
    one, two = await asyncio.gather(first.restore(parts), second.restore(parts))
    assert counts(one).get("made", 0) + counts(two).get("made", 0) == 20
    assert sum(counts(one).values()) == sum(counts(two).values()) == 20


class _Same:
    """The node of a desk, for another one."""

    def __init__(self, desk: Desk) -> None:
        self.keystore = desk.keystore


async def test_of_a_side_that_was_left_behind_what_is_missing_is_made_and_what_is_stricter_holds(
    start_node: Start, node_in: Callable[..., Any], tmp_path: Path
) -> None:
    old = Desk(start_node())
    names = ("same", "gone", "off", "gone here", "both", "other")
    keys = {name: await old.key(name) for name in names}
    document = await old.object()
    other = two_sides(old, node_in, tmp_path / "promoted")
    try:
        here = Desk(other)
        made, buried = await old.key("made"), await old.key("buried")
        for key in (buried, keys["gone"]):
            await destroy(old, key)
        await old.ask(Opcode.DESTROY_OBJECT, DestroyObject(document), Empty, USER)
        for key in (keys["off"], keys["gone here"]):
            await update(old, key, enabled=False)
        await update(old, keys["both"], label="there")
        await destroy(here, keys["gone here"])
        await update(here, keys["both"], enabled=False)

        done = await here.reconcile(await old.backup())
        assert counts(done) == {
            "made": 1, "made, destroyed": 1, "destroyed": 2, "stricter": 1, "destroyed since": 1, "conflict": 1,
            "there": 2,
        }  # fmt: skip
        assert details(done, [made, buried, keys["both"]]) == ["made", "made, destroyed", "conflict"]
        await sign(here, made)
        await sign(here, keys["same"])
        for name in ("gone", "gone here"):
            assert await refused(here, keys[name]) is Status.KEY_NOT_FOUND
        for name in ("off", "both"):
            assert await refused(here, keys[name]) is Status.KEY_DISABLED
        assert (await describe(here, keys["both"])).label == "both"
        with pytest.raises(Refusal, match="belongs to another request"):
            await here.ask(Opcode.GENERATE_KEY, GenerateKey(buried, "ec-p256"), KeyInfo, USER)
        again = await here.reconcile(await old.backup())
        assert counts(again) == {"there": 7, "destroyed since": 1, "conflict": 1}
    finally:
        await other.stop()


async def test_what_this_node_had_seen_and_its_store_lost_comes_from_the_other_side(
    start_node: Start, node_in: Callable[..., Any], tmp_path: Path
) -> None:
    old = Desk(start_node())
    key = await old.key("seen")
    other = two_sides(old, node_in, tmp_path / "promoted")
    try:
        here = Desk(other)
        name = here.keystore.keyring.name(1, key)
        row = here.keystore.store.read(name)
        follower = here.keystore.follower
        with sqlite3.connect(here.keystore.store._path) as store:
            store.execute("DELETE FROM records WHERE name = ?", (name,))
        follower._refuse(Row(name, 0, b""), RecordError(Reason.MISSING, "gone"))
        parts = await old.backup()
        assert counts(await here.reconcile(parts)) == {"made": 1}
        await sign(here, key)
        # An older state than this node has seen is not taken, whatever its store says.
        with sqlite3.connect(here.keystore.store._path) as store:
            store.execute("DELETE FROM records WHERE name = ?", (name,))
        follower._refuse(Row(name, 0, b""), RecordError(Reason.MISSING, "gone"))
        assert row is not None
        assert counts(await here.reconcile(parts)) == {"damaged here": 1}
    finally:
        await other.stop()


async def test_only_what_a_promotion_has_left_behind_is_reconciled(start_node: Start, elsewhere: Desk) -> None:
    desk = Desk(start_node())
    await desk.key()
    parts = await desk.backup()
    with pytest.raises(Refusal, match="of epoch 1, and so is this side: no promotion has left it behind"):
        await desk.reconcile(parts)
    desk.keystore.store.epoch = 2
    with pytest.raises(Refusal, match=r"of another cluster \(dev\)"):
        await elsewhere.reconcile(parts)
    with pytest.raises(Refusal, match="brings nothing back"):
        await desk.look(parts, RestoreChoice(even_destroyed=["x"]), Opcode.DR_RECONCILE)
    looked = await desk.look(parts, opcode=Opcode.DR_RECONCILE)
    with pytest.raises(Refusal, match="for another purpose"):
        await desk.ask(Opcode.RESTORE_BACKUP, RestoreBackup(parts[1], looked.reading, apply=True), BackupReading)
