"""What a side that was left behind has, and the other one lacks: counted there as DR_RECONCILE takes it over here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from backup_desk import USER, Desk, counts, two_sides

from hsm_node.core.refusal import Refusal
from hsm_node.service.unjoined import Unjoined
from hsm_node.store.base import Row, Side
from hsm_wire.messages import DestroyKey, Empty, KeyInfo, UpdateKey
from hsm_wire.objects import DestroyObject
from hsm_wire.opcodes import Opcode

Start = Callable[..., Any]


async def destroy(desk: Desk, key: bytes) -> None:
    await desk.ask(Opcode.DESTROY_KEY, DestroyKey(key), Empty, USER)


async def update(desk: Desk, key: bytes, **fields: Any) -> None:
    await desk.ask(Opcode.UPDATE_KEY, UpdateKey(key, **fields), KeyInfo, USER)


def unjoined(old: Desk, new: Desk) -> int:
    """Count at the old side's node."""
    sides = [
        Side(place, desk.keystore.store.epoch, desk.keystore.store.snapshot())
        for place, desk in (("a", old), ("b", new))
    ]
    old.keystore.store.both_sides = lambda: tuple(sides)
    try:
        counted: Unjoined = old.keystore.backups._unjoined
        return counted.count()
    finally:
        for side in sides:
            side.snapshot.close()


async def test_it_is_what_reconciling_changes_and_nothing_afterwards(
    start_node: Start, node_in: Callable[..., Any], tmp_path: Path
) -> None:
    old = Desk(start_node())
    keys = {name: await old.key(name) for name in ("same", "gone", "off", "gone here", "both")}
    document = await old.object()
    other = two_sides(old, node_in, tmp_path / "promoted")
    try:
        here = Desk(other)
        assert unjoined(old, here) == 0
        await here.key("only here")
        await old.key("only there")
        await destroy(old, keys["gone"])
        await old.ask(Opcode.DESTROY_OBJECT, DestroyObject(document), Empty, USER)
        await update(old, keys["off"], enabled=False)
        await update(old, keys["gone here"], enabled=False)
        await destroy(here, keys["gone here"])
        await update(old, keys["both"], label="there")
        await update(here, keys["both"], enabled=False)
        assert unjoined(old, here) == 4
        assert counts(await here.reconcile(await old.backup())) == {
            "made": 1, "destroyed": 2, "stricter": 1, "destroyed since": 1, "conflict": 1, "there": 1
        }  # fmt: skip
        assert unjoined(old, here) == 0
    finally:
        await other.stop()


class Rows:
    """A store with these."""

    revision = 9

    def __init__(self, *rows: Row) -> None:
        self._rows = list(rows)

    def read(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        pass


async def test_what_cannot_be_taken_over_does_not_count(start_node: Start) -> None:
    desk = Desk(start_node())
    key = await desk.key("known")
    store, name = desk.keystore.store, desk.keystore.keyring.name(1, key)
    row = store.read(name)
    forged = Row(name, row.revision, row.data[:-1] + b"x")
    for old, new, expected in (
        (row, None, 1),
        (forged, None, 0),
        (row, forged, 0),
        (Row(b"m" * 32, 1, b"of no kind"), None, 0),
    ):
        sides = (
            Side("a", 1, Rows(old)),
            Side("b", 2, Rows(Row(b"\0" * 32, 1, b"before"), *([] if new is None else [new]))),
        )
        store.both_sides = lambda sides=sides: sides
        assert desk.keystore.backups._unjoined.count() == expected


async def test_where_not_both_sides_can_be_read_it_says_so(start_node: Start) -> None:
    with pytest.raises(Refusal, match="no member of each side answers"):
        start_node().keystore.backups._unjoined.count()
