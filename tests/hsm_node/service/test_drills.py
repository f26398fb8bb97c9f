"""Drills come by themselves, are remembered, and an operator gets one at once."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from dr_node import TYPES, damage, dr_node, drilled, set_recovery, use

from hsm_node.core.drills import DrillRecord
from hsm_node.core.refusal import Refusal
from hsm_node.state.drill_file import DrillFile

Start = Callable[..., Any]


async def until(condition: Callable[[], bool], sweep: Callable[[], None]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            sweep()
            await asyncio.sleep(0.01)


async def test_a_node_that_stands_by_begins_by_itself_and_a_productive_one_does_not(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    drills = node.keystore.drills
    set_recovery(node, drill_seconds=1.0)
    drills._started -= 100
    node.store.promoted = True
    drills.sweep()
    assert not drills.running
    node.store.promoted = False
    await until(lambda: drills.made == 1, drills.sweep)
    assert (drills.record.last.good, drills.record.last.whole, drills.tried, drills.failed) == (True, True, 5, 0)
    assert drills.record.last_good_at == drills.record.last_whole_at == drills.record.last.at
    first = drills.record.last.at
    await until(lambda: drills.made == 2, drills.sweep)
    assert drills.record.last.at - first >= 1.0


async def test_the_result_survives_a_restart(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    result = await drilled(node)
    kept = DrillFile(node.config.state_dir).read()
    assert kept == node.keystore.drills.record == DrillRecord(result, result.at, result.at)


async def test_a_fault_is_counted_and_the_last_good_drill_is_remembered(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256", "aes-256")
    good = await drilled(node)
    damage(node, 0)
    bad = await drilled(node)
    drills = node.keystore.drills
    assert (drills.made, drills.bad, drills.record.last, drills.record.last_good_at) == (2, 1, bad, good.at)


async def test_who_asks_while_there_is_one_gets_the_result_of_that(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    one, other = await asyncio.gather(drilled(node), drilled(node))
    assert one is other
    assert node.keystore.drills.made == 1


async def test_a_sample_is_drawn_where_there_are_more_keys(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256", "hmac-256", "hmac-256", "ec-p256")
    set_recovery(node, drill_keys=2)
    result = await drilled(node)
    assert (result.keys, result.whole, len(result.kinds)) == (2, False, 2)


async def test_a_node_that_stops_ends_no_drill(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    node.keystore.prober.close()
    with pytest.raises(Refusal, match="shutting down"):
        await drilled(node)
    assert node.keystore.drills.record == DrillRecord()


async def test_a_result_that_cannot_be_written_is_told_and_holds(
    start_node: Start, caplog: pytest.LogCaptureFixture
) -> None:
    node = await dr_node(start_node, "ec-p256")

    class Full:
        def write(self, _record: DrillRecord) -> None:
            raise OSError(28, "No space left on device")

    node.keystore.drills._journal = Full()
    result = await drilled(node)
    assert node.keystore.drills.record.last == result
    assert "the result of a drill cannot be written" in caplog.text


async def test_a_drill_leaves_nothing_but_its_result(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    before = {path: path.read_bytes() for path in node.config.state_dir.iterdir() if path.suffix == ".json"}
    rows, revision = node.store.copy.page(b"", 0), node.store.copy.revision()
    use(node)
    assert (await drilled(node)).good
    assert node.store.copy.page(b"", 0) == rows
    assert node.store.copy.revision() == revision
    after = {path for path in node.config.state_dir.iterdir() if path.suffix == ".json"}
    assert {path.name for path in after - set(before)} == {"drill.json"}
