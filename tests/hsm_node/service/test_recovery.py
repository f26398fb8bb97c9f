"""DR_STATUS and DR_DRILL: where they belong, and what they tell."""

from collections.abc import Callable
from typing import Any

from dr_node import PRODUCTIVE, TYPES, damage, dr_node, drilled
from promoted_cluster import cluster_of

from hsm_wire.administration import DrillReport, DrStatus
from hsm_wire.messages import Empty, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[..., Any]


async def operator(node: Any) -> Any:
    client = await node.client()
    client.bind(8, "spiffe://dev/operator/ops", 0, ("operate",))
    return client


async def ask(node: Any, opcode: Opcode) -> Any:
    return await (await operator(node)).call(opcode, Empty(), principal=8)


async def test_a_cluster_without_a_dr_site_and_a_productive_node_refuse_with_a_reason(
    start_node: Start, text_of: Callable[[Any], str]
) -> None:
    node = start_node()
    for opcode in (Opcode.DR_STATUS, Opcode.DR_DRILL):
        refused = await ask(node, opcode)
        assert refused.status == Status.BAD_REQUEST
        assert text_of(refused) == "cluster dev (package sandbox) has no DR site; name one in cluster.toml"
    node.keystore.configure(cluster_of(node.config.state_dir, PRODUCTIVE))
    for opcode in (Opcode.DR_STATUS, Opcode.DR_DRILL):
        refused = await ask(node, opcode)
        assert refused.status == Status.BAD_REQUEST
        assert "node-1 is a productive node of zurich" in text_of(refused)


async def test_a_promoted_node_tells_that_it_serves_and_makes_no_drill(
    start_node: Start, text_of: Callable[[Any], str]
) -> None:
    node = await dr_node(start_node, "ec-p256")
    node.store.promoted = True
    seen = decode_body(DrStatus, (await ask(node, Opcode.DR_STATUS)).body)
    assert (seen.promoted, seen.state, seen.lag_records, seen.problems) == (True, "up", None, [])
    refused = await ask(node, Opcode.DR_DRILL)
    assert refused.status == Status.BAD_REQUEST
    assert "serves clients" in text_of(refused)


async def test_the_status_before_and_after_a_drill(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    seen = decode_body(DrStatus, (await ask(node, Opcode.DR_STATUS)).body)
    assert (seen.site, seen.node, seen.state, seen.promoted, seen.epoch) == ("alps", "node-1", "standby", False, 1)
    assert (seen.keys, seen.objective_ms, seen.drill_interval_ms) == (5, 5_000, 3_600_000)
    assert (seen.last, seen.last_good, seen.problems) == (None, 0, [])
    report = decode_body(DrillReport, (await ask(node, Opcode.DR_DRILL)).body)
    assert (report.node, report.good, report.commanded, report.keys, report.records) == ("node-1", True, True, 5, 5)
    assert (report.lag_records, report.lag_ms) == (0, 0)
    assert report.rto_ms is not None
    seen = decode_body(DrStatus, (await ask(node, Opcode.DR_STATUS)).body)
    assert (seen.last, seen.last_good, seen.problems) == (report, report.at, [])
    assert (seen.lag_records, seen.lag_ms) == (0, 0)


async def test_what_a_drill_found_is_a_problem_with_advice(start_node: Start) -> None:
    node = await dr_node(start_node, *TYPES)
    damage(node, 0)
    await drilled(node)
    seen = decode_body(DrStatus, (await ask(node, Opcode.DR_STATUS)).body)
    assert seen.last is not None
    assert not seen.last.good
    assert [problem.what for problem in seen.problems] == [f"the last drill: {text}" for text in seen.last.faults]
    assert all(problem.advice for problem in seen.problems)


async def test_it_answers_also_where_the_store_is_away(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    node.config.store.path.unlink()
    assert (await ask(node, Opcode.DR_STATUS)).status == Status.OK
    report = decode_body(DrillReport, (await ask(node, Opcode.DR_DRILL)).body)
    assert not report.good


async def test_a_client_that_is_an_operator_too_may_administer_a_node_that_stands_by(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    client = await node.client()
    client.bind(9, "spiffe://dev/client/dev", 1, ("use", "manage", "operate"))
    assert (await client.call(Opcode.DR_STATUS, Empty(), principal=9)).status == Status.OK
    assert (await client.call(Opcode.CLUSTER_STATE, Empty(), principal=9)).status == Status.OK


async def test_a_node_that_is_fenced_or_locked_says_so(start_node: Start) -> None:
    node = await dr_node(start_node, "ec-p256")
    await drilled(node)
    for promoted in (False, True):
        node.store.promoted = promoted
        node.keystore.recovery.state = lambda: "fenced"
        seen = decode_body(DrStatus, (await ask(node, Opcode.DR_STATUS)).body)
        assert [problem.what for problem in seen.problems] == ["node-1 is fenced"]
