"""What drills tell Prometheus; the alerts stand on these names."""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent / "service"))

from dr_node import TYPES, OddCopy, damage, dr_node, drilled, set_recovery, use

from hsm_node.gauges import keystore_gauges, keystore_labels
from hsm_node.service.copy_lag import CopyLag

Start = Callable[..., Any]


def values(node: Any) -> dict[str, float]:
    gauges = keystore_gauges(node.keystore, lambda: 1, lambda: 1)
    return {g.name.removeprefix("recovery_"): g.read() for g in gauges if g.name.startswith("recovery_")}


def faults(node: Any) -> dict[str, float]:
    (labels,) = [row for row in keystore_labels(node.keystore, "node-1") if row.name == "recovery_drill_faults"]
    return {reason: count for reason, count in labels.values.items() if count}


async def test_a_productive_node_has_none(start_node: Start) -> None:
    node = start_node()
    await node.client()
    assert not values(node)
    assert "recovery_drill_faults" not in [row.name for row in keystore_labels(node.keystore, "node-1")]


async def test_before_the_first_drill_nobody_knows_and_none_was_good(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    seen = values(node)
    assert (seen["last_good_drill_seconds"], seen["drills"], seen["objective_seconds"]) == (0, 0, 5)
    assert all(math.isnan(seen[name]) for name in ("last_drill_good", "lag_records", "lag_seconds"))
    assert not faults(node)


async def test_a_good_drill_is_one_and_has_its_time(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    result = await drilled(node)
    seen = values(node)
    assert seen["last_good_drill_seconds"] == seen["last_drill_seconds"] == result.at
    assert (seen["last_drill_good"], seen["last_drill_keys"], seen["keys_tried"], seen["lag_records"]) == (1, 5, 5, 0)


async def test_injected_damage_sets_what_the_alert_reads_within_one_drill(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    damage(node, 0)
    await drilled(node)
    seen = values(node)
    assert (seen["last_drill_good"], seen["failed_drills"], seen["last_drill_refused_records"]) == (0, 1, 1)
    assert faults(node) == {"records": 1}


async def test_a_lag_above_the_objective_sets_it_too(start_node: Start) -> None:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, lacks=3)
    use(node, copy=copy, lag=CopyLag(copy, node.keystore.prober))
    node.keystore.drills.lag = node.keystore.drills._parts.lag
    set_recovery(node, objective_seconds=0.1)
    await drilled(node)
    seen = values(node)
    assert (seen["last_drill_good"], seen["lag_records"]) == (0, 3)
    assert seen["last_drill_lag_seconds"] > 0.1
    assert faults(node) == {"lag": 1}
