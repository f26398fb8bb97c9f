"""VERIFY_BACKUP: what it finds, and what is kept of it."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from backup_desk import USER, Desk, counts, details, part_of

from hsm_node.core.backups import DAMAGED, ENDS_EARLY, BackupWriting
from hsm_node.core.keyring import Keyring
from hsm_node.core.records import open_record, seal_record
from hsm_node.core.refusal import Refusal
from hsm_node.state.backup_state import BackupState
from hsm_wire.backup_files import ROWS, BackupHeader, BackupRow, BackupRows
from hsm_wire.backup_messages import BackupPart
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.messages import DestroyKey, Empty, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
QUICK = sorted(name for name, row in KEY_TYPES.items() if not name.startswith("rsa-") or row.size == 2048)
"""One of each type, but for RSA keys that take seconds to be made."""


def with_state(node: Any) -> Desk:
    node.keystore.backups.state = BackupState(node.config.state_dir)
    return Desk(node)


def forged(desk: Desk, parts: list[BackupPart], change: Callable[[BackupRow], BackupRow]) -> list[BackupPart]:
    """Return the backup as somebody makes it who has the master key."""
    header = decode_body(BackupHeader, parts[0].body)
    writing = BackupWriting(header, desk.keystore.keyring)
    rows = [change(row) for part in parts if part.kind == ROWS for row in decode_body(BackupRows, part.body).rows]
    return [part_of(part) for part in (writing.header(), writing.rows_part(rows), writing.end(0))]


async def test_keys_of_every_type_are_proven_and_tombstones_counted(start_node: Start) -> None:
    desk = with_state(start_node())
    keys = [await desk.key(key_type=name) for name in QUICK]
    await desk.object()
    await desk.ask(Opcode.DESTROY_KEY, DestroyKey(await desk.key()), Empty, USER)
    reading = await desk.verify(await desk.backup(), prove=1 << 40)
    assert reading.whole
    assert not reading.items
    assert counts(reading) == {"authentic": len(keys) + 2, "destroyed": 1, "proven": len(keys)}
    last = desk.keystore.backups.state.last
    assert last.good
    assert last.verified >= last.made > 0


@pytest.mark.parametrize(("prove", "proven"), [(0, 0), (1, 2), (4, 4), (100, 8)])
async def test_of_many_keys_some_are_proven_and_one_of_each_type(start_node: Start, prove: int, proven: int) -> None:
    desk = with_state(start_node())
    for _ in range(7):
        await desk.key(key_type="hmac-256")
    await desk.key(key_type="aes-256")
    found = counts(await desk.verify(await desk.backup(), prove)).get("proven", 0)
    assert found in (proven, proven + 1, proven + 2) if prove in (1, 4) else found == proven


async def test_damage_is_refused_noted_and_told_by_the_metric_until_the_next_good_one(start_node: Start) -> None:
    desk = with_state(start_node())
    await desk.key()
    parts = await desk.backup()
    state = desk.keystore.backups.state
    changed = BackupPart(parts[1].kind, parts[1].body[:-1] + b"x", parts[1].mac)
    for wrong, said in (
        ([parts[0], changed], DAMAGED),
        ([parts[0], parts[2]], DAMAGED),
        ([*parts[:2], BackupPart(0, b"", b"")], ENDS_EARLY),
        ([BackupPart(0, b"", b"")], ENDS_EARLY),
    ):
        await desk.verify(parts)
        assert state.last.good
        with pytest.raises(Refusal) as refused:
            await desk.verify(wrong)
        assert (refused.value.status, refused.value.detail) == (Status.BAD_DATA, said)
        assert not state.last.good
        assert state.last.verified > 0


async def test_a_backup_of_another_master_key_is_refused(start_node: Start) -> None:
    desk = with_state(start_node())
    other = Keyring(b"o" * 32)
    naming, digest = other.wrapped_store_keys()
    parts = await desk.backup()
    mine = decode_body(BackupHeader, parts[0].body)
    header = BackupHeader(
        mine.backup_id, "dev", mine.cluster_id, "node-1", 1, 1, 1, other.fingerprint(), 1, naming, digest, 0
    )
    with pytest.raises(Refusal, match="which this node does not hold"):
        await desk.verify([part_of(BackupWriting(header, other).header())])


async def test_rows_that_do_not_open_and_keys_that_do_not_work_are_named(start_node: Start) -> None:
    desk = with_state(start_node())
    keys = [await desk.key(), await desk.key()]
    ring, cluster_id = desk.keystore.keyring, desk.keystore.store.cluster_id
    names = {ring.name(1, key): key for key in keys}

    def other_public_key(row: BackupRow) -> BackupRow:
        record = open_record(row.data, row.name, cluster_id, ring)
        if record.key_id != keys[0]:
            return BackupRow(bytes(32), row.data)
        other = desk.keystore.table.get(1, keys[1]).record.public_key
        return BackupRow(row.name, seal_record(msgspec.structs.replace(record, public_key=other), ring))

    reading = await desk.verify(forged(desk, await desk.backup(), other_public_key))
    assert reading.whole
    assert counts(reading) == {"authentic": 1, "not proven": 1, "unreadable": 1}
    assert details(reading, []) == []
    assert not desk.keystore.backups.state.last.good
    assert len(names) == 2


async def test_rows_of_a_kind_that_no_backup_has_are_unreadable(start_node: Start) -> None:
    desk = with_state(start_node())
    await desk.key()
    reading = await desk.verify(forged(desk, await desk.backup(), lambda row: BackupRow(row.name, b"nonsense")))
    assert counts(reading) == {"unreadable": 1}


async def test_without_a_state_directory_nothing_is_kept(start_node: Start) -> None:
    desk = Desk(start_node())
    assert (await desk.verify(await desk.backup())).whole
