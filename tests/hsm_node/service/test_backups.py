"""Who may ask for what about backups."""

from collections.abc import Callable
from typing import Any

import pytest
from backup_desk import USER, Desk, counts

from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_wire.backup_messages import BackupPart, BackupReading, CreateBackup, CreatedPart, RestoreBackup, VerifyBackup
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]
OPERATOR = Principal("spiffe://dev/operator/ops", 0, frozenset({"operate"}), 0)
PART = BackupPart(0, b"", b"")


@pytest.mark.parametrize("principal", [OPERATOR, USER])
async def test_nobody_asks_over_a_network(start_node: Start, principal: Principal) -> None:
    desk = Desk(start_node())
    for opcode, body, form in (
        (Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart),
        (Opcode.VERIFY_BACKUP, VerifyBackup(PART), BackupReading),
        (Opcode.RESTORE_BACKUP, RestoreBackup(PART), BackupReading),
    ):
        with pytest.raises(Refusal, match="on a node's host only") as refused:
            await desk.ask(opcode, body, form, principal)
        assert refused.value.status is Status.DENIED


async def test_root_on_the_nodes_host_makes_verifies_and_restores_them(start_node: Start) -> None:
    desk = Desk(start_node())
    await desk.key()
    parts = await desk.backup()
    assert counts(await desk.verify(parts)) == {"authentic": 1, "proven": 1}
    assert counts(await desk.restore(parts)) == {"there": 1}


async def test_what_nobody_goes_on_with_is_given_up(start_node: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(start_node())
    begun = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
    parts = await desk.backup()
    looked = await desk.look(parts[:1])
    checked = await desk.verify(parts[:1])
    desk.keystore.backups.sweep()
    assert not (await desk.look(parts[:1])).whole  # Nothing was given up yet.
    for module in ("backup_making", "backup_readings"):
        monkeypatch.setattr(f"hsm_node.service.{module}.IDLE_S", -1.0)
    desk.keystore.backups.sweep()
    for opcode, body, form in (
        (Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart),
        (Opcode.VERIFY_BACKUP, VerifyBackup(parts[1], checked.reading), BackupReading),
        (Opcode.RESTORE_BACKUP, RestoreBackup(parts[1], looked.reading), BackupReading),
    ):
        with pytest.raises(Refusal, match="given up; begin anew"):
            await desk.ask(opcode, body, form)


async def test_a_node_that_ends_lets_go_of_what_was_begun(start_node: Start) -> None:
    desk = Desk(start_node())
    begun = await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(), CreatedPart)
    desk.keystore.backups.close()
    with pytest.raises(Refusal, match="given up"):
        await desk.ask(Opcode.CREATE_BACKUP, CreateBackup(begun.backup_id), CreatedPart)
