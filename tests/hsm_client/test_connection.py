"""One connection, used directly as a load generator does."""

import asyncio

import pytest
from fake_cluster import CUT, MUTE

from hsm_client.config import parse_address
from hsm_client.connection import Connection, ConnectionFull, ConnectionLost
from hsm_client.errors import ClusterUnreachable, HsmError, Timeout
from hsm_wire.messages import Random, RandomResult, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

BODY = encode_body(Random(4))


async def test_requests_in_flight_each_get_their_answer(proxy):
    connection = await Connection.open(parse_address(proxy.address))
    frames = await asyncio.gather(*(connection.request(Opcode.RANDOM, BODY) for _ in range(16)))
    assert all(len(decode_body(RandomResult, frame.body).data) == 4 for frame in frames)
    assert connection.in_flight == 0
    await connection.close()
    assert not connection.usable


async def test_a_full_connection_says_so_and_a_late_request_times_out(proxy):
    proxy.script.extend([MUTE] * 16)
    connection = await Connection.open(parse_address(proxy.address))
    waiting = [connection.send(Opcode.RANDOM, BODY, timeout_s=0.05) for _ in range(16)]
    with pytest.raises(ConnectionFull):
        connection.send(Opcode.RANDOM, BODY, timeout_s=1)
    for future in waiting:
        with pytest.raises(Timeout):
            await future
    await connection.close()


async def test_a_cut_connection_fails_what_is_in_flight(proxy):
    proxy.script.append(CUT)
    connection = await Connection.open(parse_address(proxy.address))
    with pytest.raises(ConnectionLost):
        await connection.request(Opcode.RANDOM, BODY)
    await connection.close()


async def test_a_request_larger_than_the_proxy_takes_is_not_sent(proxy):
    connection = await Connection.open(parse_address(proxy.address))
    with pytest.raises(HsmError) as caught:
        connection.send(Opcode.RANDOM, bytes(1 << 20), timeout_s=1)
    assert caught.value.status == Status.TOO_LARGE
    await connection.close()


async def test_a_cancelled_request_says_so_to_the_proxy_and_its_answer_is_dropped(proxy):
    proxy.script.append(MUTE)
    connection = await Connection.open(parse_address(proxy.address))
    waiting = asyncio.ensure_future(connection.request(Opcode.RANDOM, BODY))
    while not proxy.requests:
        await asyncio.sleep(0.001)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    while not proxy.cancelled:
        await asyncio.sleep(0.001)
    assert proxy.cancelled == [proxy.requests[0].request_id]
    assert len(decode_body(RandomResult, (await connection.request(Opcode.RANDOM, BODY)).body).data) == 4
    await connection.close()


async def test_a_proxy_that_answers_no_ping_while_a_request_waits_is_lost(proxy):
    proxy.script.append(MUTE)
    connection = await Connection.open(parse_address(proxy.address))
    with pytest.raises(ConnectionLost, match="silent"):
        await connection.request(Opcode.RANDOM, BODY)
    await connection.close()


async def test_a_host_name_that_is_none_cannot_be_reached():
    with pytest.raises(ClusterUnreachable):
        await Connection.open(parse_address("a..b:1"))
