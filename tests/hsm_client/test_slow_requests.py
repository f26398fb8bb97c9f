"""Slow requests in the log of the client library."""

import asyncio
import logging
import re

import msgspec
import pytest
from fake_cluster import CUT, MUTE

from hsm_client import connect
from hsm_client.config import ProxyAddress
from hsm_client.errors import Timeout
from hsm_client.slow_requests import LINES, SlowRequests
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

HERE = ProxyAddress("127.0.0.1", 2410)


@pytest.fixture
def log(caplog):
    with caplog.at_level(logging.INFO, "hsm_client"):
        yield caplog


def slow(caplog):
    return [record.getMessage() for record in caplog.records if record.getMessage().startswith("a request was slow")]


async def test_a_slow_request_is_told_under_its_operation_id_with_where_it_was_sent(proxy, configured, log):
    proxy.script.append(CUT)
    config = msgspec.structs.replace(configured(proxy), slow_request_s=0.0001)
    async with connect(config) as hsm:
        await proxy.stop()
        waiting = asyncio.ensure_future(hsm.random(8))
        await asyncio.sleep(0.05)
        await proxy.start()
        await waiting
    (line,) = slow(log)
    assert f"operation_id={proxy.requests[0].operation_id:016x} operation=random status=OK seconds=" in line
    # Cut once by the script, and as often as a connection of the pool turned out to be lost.
    sent, proxies = re.fullmatch(r".* sent=(\d+) proxies=(\S+)", line).groups()
    assert (int(sent) >= 2, proxies) == (True, proxy.address)


async def test_one_that_fails_or_is_given_up_is_told_with_how_it_ended(proxy, configured, log):
    proxy.script.extend([MUTE, MUTE])
    config = msgspec.structs.replace(configured(proxy), slow_request_s=0.05)
    async with connect(config, timeout_s=0.2) as hsm:
        with pytest.raises(Timeout) as caught:
            await hsm.random(8)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await hsm.random(8)
    first, second = slow(log)
    assert f"operation_id={caught.value.operation_id:016x} operation=random status=TIMEOUT" in first
    assert "status=CANCELLED" in second


async def test_a_request_in_time_is_not_told(proxy, configured, log):
    async with connect(configured(proxy)) as hsm:
        await hsm.random(8)
    config = msgspec.structs.replace(configured(proxy), slow_request_s=0.0)
    async with connect(config) as hsm:
        await hsm.random(8)
    assert slow(log) == []


def test_where_all_are_slow_some_are_told_and_the_others_counted(log):
    told = SlowRequests(1.0)
    for now in (100.0, 101.0):
        for number in range(LINES + 3):
            told.note(number, Opcode.SIGN, Status.OK, 1.5, [HERE, HERE], now)
    lines = slow(log)
    assert len(lines) == 2 * LINES
    assert lines[0].endswith("operation=sign status=OK seconds=1.500 sent=2 proxies=127.0.0.1:2410")
    assert lines[LINES].endswith("left_out=3")
    assert "left_out" not in lines[LINES + 1]


def test_where_nobody_listens_nothing_is_counted(caplog):
    told = SlowRequests(1.0)
    for _ in range(LINES + 3):
        told.note(7, Opcode.SIGN, Status.OK, 1.5, [], 100.0)
    with caplog.at_level(logging.INFO, "hsm_client"):
        told.note(7, Opcode.SIGN, Status.OK, 1.5, [], 101.0)
    (line,) = slow(caplog)
    assert line.endswith("sent=0 proxies=none")
