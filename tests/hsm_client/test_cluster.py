"""Requests of the asyncio client against a fake proxy."""

import asyncio
from random import Random

import pytest
from fake_cluster import CUT, MUTE, FakeProxy

from hsm_client import connect
from hsm_client.errors import (
    ClusterUnreachable,
    DeviceError,
    Overloaded,
    Timeout,
    Unavailable,
)
from hsm_client.waiting_line import WaitingLine
from hsm_wire import messages as m
from hsm_wire.administration import ClusterState, NodeState, SetNodeState
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status


async def test_a_request_on_a_cut_connection_is_sent_again_under_the_same_operation_id(proxy, configured):
    proxy.script.append(CUT)
    async with connect(configured(proxy)) as hsm:
        assert len(await hsm.random(8)) == 8
    first, second = proxy.requests
    assert first.operation_id == second.operation_id != 0


async def test_without_retry_a_cut_connection_is_an_error(proxy, configured):
    proxy.script.append(CUT)
    async with connect(configured(proxy), retry=False) as hsm:
        with pytest.raises(Unavailable):
            await hsm.random(8)


@pytest.mark.parametrize("status", [Status.OVERLOADED, Status.UNAVAILABLE, Status.GOING_AWAY])
async def test_what_did_not_run_is_sent_again(proxy, configured, status):
    proxy.script.extend([status, status])
    async with connect(configured(proxy)) as hsm:
        await hsm.random(8)
    assert len(proxy.requests) == 3


async def test_without_retry_overload_is_an_error_with_status_and_operation_id(proxy, configured):
    proxy.script.append(Status.OVERLOADED)
    async with connect(configured(proxy), retry=False) as hsm:
        with pytest.raises(Overloaded) as caught:
            await hsm.random(8)
    assert caught.value.status == Status.OVERLOADED
    assert caught.value.operation_id == proxy.requests[0].operation_id


async def test_a_request_without_an_answer_ends_at_its_deadline(proxy, configured):
    proxy.script.append(MUTE)
    async with connect(configured(proxy), timeout_s=0.2) as hsm:
        with pytest.raises(Timeout):
            await hsm.random(8)


@pytest.mark.parametrize(("chosen", "of_random", "of_key"), [(None, 10.0, 60.0), (0.5, 0.5, 0.5), (90.0, 90.0, 90.0)])
async def test_a_timeout_that_was_chosen_holds_for_every_operation(proxy, configured, chosen, of_random, of_key):
    async with connect(configured(proxy), timeout_s=chosen) as hsm:
        await hsm.random(8)
        await hsm.generate_key("ec-p256")
    sent = [frame.timeout_ms / 1000 for frame in proxy.requests]
    assert sent == [pytest.approx(of_random, abs=0.2), pytest.approx(of_key, abs=0.2)]


async def test_a_proxy_that_is_started_again_is_used_again_without_an_error(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        await hsm.random(8)
        await proxy.stop()
        waiting = asyncio.ensure_future(hsm.random(8))
        await proxy.start()
        assert len(await waiting) == 8


async def test_another_proxy_takes_over(proxy, configured):
    other = await FakeProxy(proxy.keystore).start()
    try:
        async with connect(configured(proxy, other)) as hsm:
            await proxy.stop()
            for _ in range(5):
                await hsm.random(8)
    finally:
        await other.stop()


async def test_a_connection_that_goes_away_is_replaced(proxy, configured):
    async with connect(configured(proxy), pool_size=1) as hsm:
        await hsm.random(8)
        next(iter(proxy.connections)).go_away()
        await hsm.random(8)
        await hsm.random(8)
    assert proxy.accepted >= 2


async def test_more_requests_than_the_proxy_takes_at_once_wait_for_room(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        results = await asyncio.gather(*(hsm.random(4) for _ in range(200)))
    assert len(results) == 200


async def test_no_proxy_at_all_is_named_as_such(proxy, configured):
    config = configured(proxy)
    await proxy.stop()
    with pytest.raises(ClusterUnreachable, match="can be reached"):
        async with connect(config, timeout_s=0.3):
            pass


async def test_a_change_that_the_dr_site_does_not_have_yet_is_done(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        proxy.script.append((Status.OK_DR_PENDING, m.Unconfirmed(["alps"])))
        key = await hsm.generate_key("aes-256")
        assert key.type == "aes-256"


async def test_what_may_have_run_is_sent_again_too_since_all_is_safe_to_send_twice(proxy, configured):
    proxy.script.append((Status.UNAVAILABLE, m.Failure("")))
    async with connect(configured(proxy)) as hsm:
        await hsm.random(8)
    first, second = proxy.requests
    assert first.operation_id == second.operation_id


async def test_a_timeout_answer_is_the_callers_to_decide_on(proxy, configured):
    proxy.script.append((Status.TIMEOUT, m.Failure("the node was slow")))
    async with connect(configured(proxy)) as hsm:
        with pytest.raises(Timeout, match="slow"):
            await hsm.random(8)
    assert len(proxy.requests) == 1


async def test_a_request_on_a_silent_connection_moves_to_another_proxy(proxy, configured):
    other = await FakeProxy(proxy.keystore).start()
    for each in (proxy, other):
        each.script.append(MUTE)
    try:
        async with connect(configured(proxy, other), timeout_s=20) as hsm:
            assert len(await hsm.random(8)) == 8
        assert {request.operation_id for request in proxy.requests} == {
            request.operation_id for request in other.requests
        }
    finally:
        await other.stop()


async def test_a_cancelled_caller_sends_cancel(proxy, configured):
    proxy.script.append(MUTE)
    async with connect(configured(proxy)) as hsm:
        waiting = asyncio.ensure_future(hsm.random(8))
        while not proxy.requests:
            await asyncio.sleep(0.001)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        while not proxy.cancelled:
            await asyncio.sleep(0.001)


async def test_three_hundred_connections_of_one_process_come_back_after_their_proxys_restart(proxy, configured):
    clients = [connect(configured(proxy), pool_size=1, timeout_s=30) for _ in range(100)]
    clients.append(connect(configured(proxy), pool_size=200, timeout_s=30))
    await asyncio.gather(*(client.open() for client in clients))
    try:
        while len(proxy.connections) < 300:
            await asyncio.sleep(0.01)
        await proxy.stop()
        waiting = [asyncio.ensure_future(client.random(8)) for client in clients]
        await proxy.start()
        assert all(len(data) == 8 for data in await asyncio.gather(*waiting))
    finally:
        await asyncio.gather(*(client.close() for client in clients))


async def test_a_request_that_waits_for_room_is_woken_once_however_many_wait(proxy, configured, monkeypatch):
    waits = 0
    wait = WaitingLine.wait

    async def counted(line, deadline, **kwargs):
        nonlocal waits
        waits += 1
        await wait(line, deadline, **kwargs)

    monkeypatch.setattr(WaitingLine, "wait", counted)
    async with connect(configured(proxy), pool_size=1, timeout_s=60) as hsm:
        await asyncio.gather(*(hsm.random(1 + number) for number in range(1000)))
    assert waits == 1000 - 16  # what the fake proxy takes at a time needs not wait
    asked = [m.decode_body(m.Random, frame.body).length for frame in proxy.requests]
    assert asked == list(range(1, 1001))  # first come, first served


async def test_waiting_requests_that_are_cancelled_keep_nobody_else_waiting(proxy, configured):
    rng = Random(1)
    async with connect(configured(proxy), pool_size=2, timeout_s=60) as hsm:
        for _ in range(10):
            tasks = [asyncio.ensure_future(hsm.random(4)) for _ in range(200)]
            for task in rng.sample(tasks, 150):
                for _ in range(rng.randrange(3)):
                    await asyncio.sleep(0)
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(result) for result in results} <= {bytes, asyncio.CancelledError}
        assert hsm._pool._line.empty
        assert len(await hsm.random(8)) == 8


async def test_a_change_of_an_object_that_not_all_confirmed_is_read_again(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        proxy.script.append((Status.OK_UNCONFIRMED, m.Unconfirmed(["node-2"])))
        stored = await hsm.create_object("data", b"x", label="notes")
        assert (stored.label, await stored.value()) == ("notes", b"x")


async def test_a_rotation_that_not_all_confirmed_gives_the_new_version(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("aes-256")
        proxy.script.append((Status.OK_UNCONFIRMED, m.Unconfirmed(["node-2"])))
        made = await key.rotate(key_id=b"n" * 16)
        assert (made.info.key_id, made.info.replaces) == (b"n" * 16, key.info.key_id)


async def test_what_only_the_answer_itself_could_tell_is_an_error_where_it_does_not(proxy, configured):
    async with connect(configured(proxy)) as hsm:
        key = await hsm.generate_key("ml-kem-768")
        proxy.script.append((Status.OK_DR_PENDING, m.Unconfirmed(["alps"])))
        with pytest.raises(DeviceError, match="EncapsulateResult"):
            await key.encapsulate()


async def test_a_nodes_state_that_not_all_confirmed_is_read_again(proxy, configured, caplog):
    now = ClusterState("dev", 1, [NodeState("node-1", "drain", 1)])
    proxy.keystore.set_node_state = proxy.keystore.cluster_state = lambda _body: now
    async with connect(configured(proxy)) as hsm:
        proxy.script.append((Status.OK_UNCONFIRMED, m.Unconfirmed(["node-2"])))
        assert await hsm.request(Opcode.SET_NODE_STATE, SetNodeState("node-1", "drain"), ClusterState) == now
    assert "done, but not confirmed by node-2" in caplog.messages
