"""The whole proxy with fake nodes, on both event loops."""

import json
import time

import pytest

from hsm_daemon.errors import StartError
from hsm_wire import kinds
from hsm_wire.messages import StatusResult, decode_body
from hsm_wire.statuses import Status
from proxy.app import ProxyApp
from proxy.config import load_config


async def test_requests_are_spread_and_answered_under_their_ids(stage):
    await stage.start()
    client = await stage.connect()
    for request_id in range(1, 61):
        client.ask(request_id, body=bytes([0x91, request_id]))
    answers = await client.frames(60)
    assert sorted(frame.request_id for frame in answers) == list(range(1, 61))
    assert all(frame.body[-1] == frame.request_id for frame in answers)
    assert all(len(node.requests) > 5 for node in stage.nodes)
    assert all(node.binds[2].identity == "spiffe://t/client/a" for node in stage.nodes)


async def test_a_node_that_dies_costs_no_request_and_comes_back(stage):
    await stage.start()
    client = await stage.connect()
    victim = stage.nodes[0]
    victim.holding = True
    for request_id in range(1, 31):
        client.ask(request_id)
    await stage.until(lambda: victim.requests)
    await victim.stop()
    answers = await client.frames(30)
    assert all(frame.status == 0 for frame in answers)
    assert stage.app.dispatcher.counters.failovers >= 1
    assert len(stage.app.table.rotation) == 2
    victim.holding = False
    await victim.start()
    await stage.until(lambda: len(stage.app.table.rotation) == 3)


async def test_a_node_that_is_silent_is_taken_out_and_its_requests_move(stage):
    await stage.start()
    client = await stage.connect()
    victim = stage.nodes[1]
    victim.holding = victim.silent = True
    for request_id in range(1, 31):
        client.ask(request_id)
    assert all(frame.status == 0 for frame in await client.frames(30))
    assert "does not answer its check" in stage.app.table.nodes[1].reason


async def test_a_node_that_says_goaway_gets_nothing_new_and_finishes(stage):
    await stage.start()
    client = await stage.connect()
    for node in stage.nodes:
        node.holding = True
    for request_id in range(1, 31):
        client.ask(request_id)
    await stage.until(lambda: sum(len(node.requests) for node in stage.nodes) == 30)
    leaving = stage.nodes[2]
    leaving.say(kinds.GOAWAY, b"\x90")
    await stage.until(lambda: len(stage.app.table.rotation) == 2)
    had = len(leaving.requests)
    for request_id in range(31, 51):
        client.ask(request_id)
    await stage.until(lambda: sum(len(node.requests) for node in stage.nodes) == 50)
    for node in stage.nodes:
        node.release()
    assert all(frame.status == 0 for frame in await client.frames(50))
    assert len(leaving.requests) == had


async def test_admin_pages_tell_state_and_figures(stage):
    await stage.start()
    client = await stage.connect()
    client.ask(1)
    await client.frame()
    assert (await stage.get("/livez"))[0] == 200
    assert (await stage.get("/readyz"))[0] == 200
    assert b"3 of 3 nodes in rotation" in (await stage.get("/summary"))[1]
    status = json.loads((await stage.get("/status"))[1])
    assert (status["ready"], status["requests"], status["clients"], status["failovers"]) == (True, 1, 1, 0)
    assert status["address"] == stage.app.address
    assert [node["state"] for node in status["nodes"]] == ["up"] * 3
    text = (await stage.get("/metrics"))[1].decode()
    assert 'hsm_proxy_requests_total{operation="sign",status_class="ok"} 1.0' in text
    for node in stage.nodes:
        await node.stop()
    await stage.until(lambda: not stage.app.table.rotation)
    assert (await stage.get("/readyz"))[0] == 503


async def test_status_over_the_protocol_is_the_proxy_s_own(stage):
    await stage.start()
    client = await stage.connect()
    client.ask(1, opcode=0x0003)
    frame = await client.frame()
    status = decode_body(StatusResult, frame.body)
    assert (status.proxy, status.cluster, status.clients) == ("proxy-1", "t", 1)
    assert [node.state for node in status.nodes] == ["up"] * 3


async def test_without_nodes_the_answer_is_unavailable_not_executed(stage):
    await stage.start(nodes=1)
    await stage.nodes[0].stop()
    await stage.until(lambda: not stage.app.table.rotation)
    client = await stage.connect()
    client.ask(1)
    frame = await client.frame()
    assert (frame.status, frame.flags) == (Status.UNAVAILABLE, kinds.Flag.NOT_EXECUTED)


async def test_stopping_says_goaway_and_finishes_what_is_in_flight(stage):
    await stage.start(nodes=1)
    client = await stage.connect()
    node = stage.nodes[0]
    node.holding = True
    client.ask(1)
    await stage.until(lambda: node.requests)
    from hsm_daemon.tasks import spawn

    stopping = spawn(stage.app.stop(), "stop")
    assert (await client.frame()).kind == kinds.GOAWAY
    client.ask(2)
    refused = await client.frame()
    assert (refused.request_id, refused.status) == (2, Status.GOING_AWAY)
    node.release()
    answer = await client.frame()
    assert (answer.request_id, answer.status) == (1, 0)
    assert await client.frame() is None
    await stopping
    stage.app = None


async def test_a_loop_that_is_blocked_is_noticed(stage, caplog):
    await stage.start(nodes=1)
    time.sleep(0.4)  # noqa: ASYNC251 - that is what is tested
    await stage.until(lambda: any(record.message == "this proxy stood still" for record in caplog.records))


async def test_an_address_in_use_is_one_line(stage):
    await stage.start(nodes=1)
    path = stage.write()
    text = path.read_text().replace('listen = "127.0.0.1:0"', f'listen = "{stage.app.address}"')
    path.write_text(text)
    other = ProxyApp(load_config(path))
    with pytest.raises(StartError, match="cannot listen on"):
        await other.start()
