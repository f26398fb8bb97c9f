"""Backups while the store goes on, and of stores with damage."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest
from backup_desk import USER, Desk, counts, part_of

from hsm_node.core.envelopes import format_of
from hsm_node.core.refusal import Refusal
from hsm_node.service import backup_making
from hsm_node.store.base import Row, Side
from hsm_wire.administration import ClusterState as States
from hsm_wire.administration import SetNodeState
from hsm_wire.backup_files import END, HEADER, ROWS, BackupEnd, BackupHeader, BackupRow, BackupRows
from hsm_wire.backup_messages import BackupPart, CreateBackup, CreatedPart
from hsm_wire.messages import DestroyKey, Empty, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]


def rows_of(parts: list[BackupPart]) -> list[BackupRow]:
    return [row for part in parts if part.kind == ROWS for row in decode_body(BackupRows, part.body).rows]


async def test_keys_objects_and_tombstones_are_in_it_and_nothing_about_nodes(start_node: Start) -> None:
    desk = Desk(start_node())
    keys = [await desk.key() for _ in range(3)]
    await desk.object()
    await desk.ask(Opcode.DESTROY_KEY, DestroyKey(keys[0]), Empty, USER)
    await desk.ask(Opcode.SET_NODE_STATE, SetNodeState("node-1", "drain"), States)
    parts = await desk.backup()
    assert [part.kind for part in parts] == [HEADER, ROWS, END]
    rows = rows_of(parts)
    assert [row.name for row in rows] == sorted(row.name for row in rows)
    assert sorted(format_of(row.data) for row in rows) == [3, 3, 3, 4]
    assert decode_body(BackupEnd, parts[-1].body) == BackupEnd(4, 0)
    header = decode_body(BackupHeader, parts[0].body)
    assert (header.cluster, header.node, header.records) == ("dev", "node-1", 3)
    assert header.revision == 6


async def test_a_backup_is_of_the_moment_at_which_it_was_begun(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_node.core.backups.MAX_PART_ROWS", 2)
    desk = Desk(start_node())
    keys = [await desk.key() for _ in range(5)]
    answer = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
    parts = [part_of(answer.part)]
    while not answer.last:
        await desk.key()
        if keys:
            await desk.ask(Opcode.DESTROY_KEY, DestroyKey(keys.pop()), Empty, USER)
        answer = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(answer.backup_id), CreatedPart)
        parts.append(part_of(answer.part))
    assert [part.kind for part in parts] == [HEADER, ROWS, ROWS, ROWS, END]
    assert counts(await desk.verify(parts)) == {"authentic": 5, "proven": 5}


async def test_damaged_records_are_left_out_and_counted(start_node: Start) -> None:
    node = start_node()
    desk = Desk(node)
    for _ in range(3):
        await desk.key()
    with sqlite3.connect(node.config.store.path) as store:
        store.execute("UPDATE records SET data = substr(data, 1, 60) WHERE revision = 2")
        store.execute("UPDATE records SET name = zeroblob(32) WHERE revision = 3")
    store.close()
    parts = await desk.backup()
    assert decode_body(BackupEnd, parts[-1].body) == BackupEnd(1, 2)
    assert (await desk.verify(parts)).whole


async def test_only_some_are_made_at_once_and_each_by_one(start_node: Start) -> None:
    desk = Desk(start_node())
    begun = [await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart) for _ in range(backup_making.MAX_MAKING)]
    with pytest.raises(Refusal) as refused:
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
    assert refused.value.status is Status.OVERLOADED
    last = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun[0].backup_id), CreatedPart)
    assert last.last
    with pytest.raises(Refusal, match="begin anew"):
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun[0].backup_id), CreatedPart)
    assert len(await desk.backup()) == 2


async def test_what_the_store_does_not_give_any_more_ends_the_backup(start_node: Start) -> None:
    desk = Desk(start_node())
    await desk.key()
    begun = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
    [making] = desk.keystore.backups._making._making.values()
    making.snapshot.close()
    with pytest.raises(Refusal) as refused:
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart)
    assert refused.value.status is Status.STORE_UNAVAILABLE
    with pytest.raises(Refusal, match="begin anew"):
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart)


async def test_a_backup_shows_no_label_no_id_no_material_and_no_public_key(start_node: Start) -> None:
    desk = Desk(start_node())
    key = await desk.key("a label that nobody may see")
    document = await desk.object(b"a value that nobody may see")
    entry = desk.keystore.table.get(1, key)
    material = desk.keystore.keyring.unwrap(entry.record.wrapped, entry.record.true_length)
    content = b"".join(part.body + part.mac for part in await desk.backup())
    for secret in (
        key,
        document,
        b"nobody may see",
        entry.record.public_key,
        material,
        material[-32:],
        bytes(range(32)),
    ):
        assert secret not in content
        assert secret.hex().encode() not in content


async def test_what_was_left_behind_is_read_with_what_is_not_authentic_in_it(start_node: Start) -> None:
    desk = Desk(start_node())
    key = await desk.key("old")
    store = desk.keystore.store
    row = store.read(desk.keystore.keyring.name(1, key))
    assert row is not None
    rows = [[row, Row(b"n" * 32, 9, row.data)]]

    class Member:
        revision = 9

        def read(self) -> list[Row]:
            return rows.pop(0) if rows else []

        def close(self) -> None:
            """Nothing is held."""

    with pytest.raises(Refusal, match="no side was left behind; there is nothing to reconcile"):
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(left_behind=True), CreatedPart)
    store.promoted = True
    with pytest.raises(Refusal, match="no member of .* answers that a promotion has left behind"):
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(left_behind=True), CreatedPart)
    store.left_behind = lambda: Side("192.0.2.10:2379", 1, Member())
    begun = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(left_behind=True), CreatedPart)
    second = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart)
    last = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart)
    header = decode_body(BackupHeader, part_of(begun.part).body)
    assert (header.node, header.epoch, header.revision) == ("192.0.2.10:2379", 1, 9)
    store.epoch = 2
    done = await desk.reconcile([part_of(part.part) for part in (begun, second, last)])
    assert counts(done) == {"there": 1, "unreadable": 1}


async def test_a_node_that_was_left_behind_gives_a_backup_and_one_without_its_store_none(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(start_node())
    await desk.key()
    monkeypatch.setattr(type(desk.keystore.follower), "current", False)
    with pytest.raises(Refusal) as refused:
        await desk.backup()
    assert refused.value.status is Status.STORE_UNAVAILABLE
    monkeypatch.setattr(type(desk.keystore.store), "fenced", True)
    assert len(await desk.backup()) == 3
