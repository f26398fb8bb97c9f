"""Operators say what they want of a node; every node hears of it through the store."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from hsm_node.store.base import Removal
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import kinds
from hsm_wire.administration import ClusterState, RemovedNode, RemoveNode, SetNodeState
from hsm_wire.messages import Empty, Failure, FindKeys, Pong, Unconfirmed, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
OPERATOR = 9


async def operator_of(node: Any) -> Any:
    client = await node.client()
    client.bind(OPERATOR, "spiffe://dev/operator/op", 0, ("operate",))
    return client


async def set_state(client: Any, state: str, *, node: str = "node-1", operation_id: int = 5) -> Any:
    return await client.call(
        Opcode.SET_NODE_STATE, SetNodeState(node, state), principal=OPERATOR, operation_id=operation_id
    )


async def reported(client: Any) -> str:
    client.send(kinds.PING)
    return decode_body(Pong, (await client.frame()).body).administrative_state


async def test_a_state_reaches_pong_of_every_node_and_survives_a_restart(start_node: Start) -> None:
    first, second = start_node(), start_node()
    operator, other = await operator_of(first), await second.client()
    assert await reported(operator) == "ready"
    answer = await set_state(operator, "maintain")
    assert decode_body(ClusterState, answer.body).nodes[0].administrative_state == "maintain"
    assert await reported(operator) == "maintain"
    assert await reported(other) == "maintain"
    third = await start_node().client()
    assert await reported(third) == "maintain"
    assert (
        decode_body(ClusterState, (await operator.call(Opcode.CLUSTER_STATE, Empty(), principal=OPERATOR)).body)
        .nodes[0]
        .administrative_state
        == "maintain"
    )


async def test_a_change_sent_twice_happens_once_and_not_over_a_later_one(start_node: Start) -> None:
    operator = await operator_of(start_node())
    for state, operation_id in (("drain", 1), ("ready", 2), ("drain", 1)):
        assert (await set_state(operator, state, operation_id=operation_id)).status == Status.OK
    assert await reported(operator) == "ready"


async def test_only_operators_may_and_only_what_makes_sense(start_node: Start) -> None:
    operator = await operator_of(start_node())
    assert (await operator.call(Opcode.SET_NODE_STATE, SetNodeState("node-1", "drain"))).status == Status.DENIED
    assert (await operator.call(Opcode.CLUSTER_STATE, Empty())).status == Status.DENIED
    assert (await set_state(operator, "asleep")).status == Status.BAD_REQUEST
    assert (await set_state(operator, "drain", node="node-9")).status == Status.BAD_REQUEST
    assert await reported(operator) == "ready"


async def test_a_record_of_a_state_that_is_not_authentic_is_refused(start_node: Start) -> None:
    node = start_node()
    operator = await operator_of(node)
    assert (await set_state(operator, "drain")).status == Status.OK
    entry = node.keystore.node_states.held["node-1"]
    name = node.keystore.administration._keyring.node_name("node-1")
    node.store.change(name, entry.revision, b"\x93\x02\xc4\x01x\xc4\x01y")
    node.store._seen_version = -1
    assert await reported(operator) == "drain"
    assert name in node.keystore.follower.refused


async def test_an_operator_may_be_a_client_too(start_node: Start) -> None:
    both = await start_node().client()
    both.bind(OPERATOR, "spiffe://dev/client/x", 1, ("use", "operate"))
    assert (await set_state(both, "drain")).status == Status.OK
    assert (await both.call(Opcode.FIND_KEYS, FindKeys(), principal=OPERATOR)).status == Status.OK


def damage_the_only_row(node: Any) -> None:
    connection = sqlite3.connect(node.config.store.path)
    with connection:
        (data,) = connection.execute("SELECT data FROM records").fetchone()
        damaged = data[:-1] + bytes([data[-1] ^ 1])
        connection.execute("UPDATE records SET data = ?, revision = revision + 1", (damaged,))
        connection.execute("UPDATE cluster SET revision = revision + 1")
    connection.close()


@pytest.mark.parametrize("knows_more", [False, True])
async def test_a_damaged_state_is_set_again_and_every_node_takes_the_new_one(
    start_node: Start, knows_more: bool
) -> None:
    old = start_node()
    operator, witness = await operator_of(old), await start_node().client()
    for state, operation_id in (("drain", 1), ("maintain", 2), ("drain", 3)):
        assert (await set_state(operator, state, operation_id=operation_id)).status == Status.OK
    assert await reported(witness) == "drain"
    damage_the_only_row(old)
    setter = operator if knows_more else await operator_of(start_node())
    assert (await set_state(setter, "maintain", operation_id=4)).status == Status.OK
    for client in (operator, witness, setter):
        assert await reported(client) == "maintain"
    assert not old.keystore.follower.refused


async def test_the_state_is_a_metric_with_one_place_for_each(start_node: Start) -> None:
    node = start_node()
    operator = await operator_of(node)
    await set_state(operator, "drain")
    page = node.node._metrics.page().decode()
    for state, value in (("ready", 0), ("drain", 1), ("maintain", 0)):
        assert f'hsm_node_administrative_state{{state="{state}"}} {value}.0' in page


async def test_nodes_that_do_not_confirm_a_state_are_named_also_when_it_is_sent_again(start_node: Start) -> None:
    node = start_node()
    operator = await operator_of(node)
    revisions = []

    def unconfirmed(revision: int) -> Future[list[str]]:
        revisions.append(revision)
        names: Future[list[str]] = Future()
        names.set_result(["node-2"])
        return names

    node.keystore.store.unconfirmed = unconfirmed
    for state, operation_id in (("drain", 1), ("drain", 1), ("ready", 2), ("ready", 2)):
        answer = await set_state(operator, state, operation_id=operation_id)
        assert (answer.status, decode_body(Unconfirmed, answer.body).unconfirmed) == (
            Status.OK_UNCONFIRMED,
            ["node-2"],
        )
        assert revisions[-1] == node.store.read(node.keystore.keyring.node_name("node-1")).revision
    assert len(set(revisions)) == 2


async def remove(client: Any, node: str) -> Any:
    return await client.call(Opcode.REMOVE_NODE, RemoveNode(node), principal=OPERATOR)


async def test_a_node_is_removed_when_it_is_out_of_the_configuration_and_not_alive(
    start_node: Start, caplog: pytest.LogCaptureFixture
) -> None:
    started = start_node()
    operator, store = await operator_of(started), started.keystore.store
    asked: list[str] = []

    def forget(node: str) -> Removal:
        asked.append(node)
        return {"node-7": Removal.REMOVED, "node-8": Removal.ALIVE}.get(node, Removal.ABSENT)

    store.remove, store.registered = forget, ["node-1", "node-7"]
    assert (await remove(operator, "node-1")).status == Status.BAD_REQUEST
    with caplog.at_level("WARNING", "hsm_node.administration"):
        done = decode_body(RemovedNode, (await remove(operator, "node-7")).body)
    assert done == RemovedNode("node-7", was_registered=True, registered=["node-1"])
    assert caplog.messages == ["a node was removed"]
    alive = await remove(operator, "node-8")
    assert (alive.status, "stop it" in decode_body(Failure, alive.body).detail) == (Status.BAD_REQUEST, True)
    assert decode_body(RemovedNode, (await remove(operator, "node-9")).body).was_registered is False
    assert asked == ["node-7", "node-8", "node-9"]


async def test_one_node_is_removed_at_a_time_so_that_changes_have_threads(
    start_node: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SqliteStore, "writers", 2)  # As a distributed store, whose removals wait.
    started = start_node()
    operator = await operator_of(started)
    begun, ends = threading.Event(), threading.Event()

    def forget(_node: str) -> Removal:
        begun.set()
        ends.wait(10)
        return Removal.REMOVED

    started.keystore.store.remove = forget
    operator.request(Opcode.REMOVE_NODE, RemoveNode("node-7"), principal=OPERATOR)
    assert await asyncio.to_thread(begun.wait, 10)
    for node in ("node-7", "node-8"):
        refused = await remove(operator, node)
        failure = decode_body(Failure, refused.body)
        assert (refused.status, refused.flags & 1, failure.retry_after_ms) == (Status.OVERLOADED, 1, 1_000)
    ends.set()
    assert decode_body(RemovedNode, (await operator.frame()).body).node == "node-7"
    assert decode_body(RemovedNode, (await remove(operator, "node-8")).body).node == "node-8"


async def test_where_nodes_share_a_file_there_is_nobody_to_remove(start_node: Start) -> None:
    operator = await operator_of(start_node())
    answer = await remove(operator, "node-9")
    assert decode_body(RemovedNode, answer.body) == RemovedNode("node-9", was_registered=False, registered=[])
