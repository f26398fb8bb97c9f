"""Lines about requests that took long, in a node that runs."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hsm_daemon import clock
from hsm_daemon.log_settings import LogSettings
from hsm_daemon.tasks import spawn
from hsm_node.net.slow_requests import SlowRequests
from hsm_wire import kinds
from hsm_wire.frames import Frame
from hsm_wire.mechanisms import CKM_SHA256_RSA_PKCS
from hsm_wire.messages import NIL_PARAMETERS, GenerateKey, Random, Sign
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
NEVER = float("inf")
ALL = LogSettings(slow_request_s=1e-6)
"""So that every request is slow."""


@pytest.fixture
def requests(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.INFO, "hsm_node.requests"):
        yield caplog


def lines(caplog: pytest.LogCaptureFixture, event: str = "a request was slow") -> list[dict[str, Any]]:
    """Return the fields of those lines, with their level."""
    found = [record for record in caplog.records if record.getMessage() == event]
    return [{"level": record.levelname, **record.fields} for record in found]  # type: ignore[attr-defined]  # logs.event sets it


async def test_a_request_of_a_thread_says_how_long_it_waited_and_worked(
    start_node: Start, requests: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    client = await node.client()
    node.node._slow.use(ALL)
    await client.call(Opcode.GENERATE_KEY, GenerateKey(os.urandom(16), "rsa-2048"), operation_id=0xABC)
    (line,) = lines(requests)
    assert line["operation_id"] == "0000000000000abc"
    assert (line["operation"], line["status"], line["level"]) == ("generate_key", "OK", "INFO")
    assert min(line["device_s"], line["store_s"], line["queued_s"]) > 0
    assert line["seconds"] >= line["queued_s"] + line["device_s"] + line["store_s"]


async def test_what_was_served_at_once_is_told_with_what_came_with_it(
    start_node: Start, requests: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    client = await node.client()
    await client.call(Opcode.RANDOM, Random(5))
    assert lines(requests) == []
    node.node._slow.use(ALL)
    await client.call(Opcode.RANDOM, Random(5), operation_id=0xABC)
    (line,) = lines(requests)
    assert (line["operation"], line["operation_id"], line["level"]) == ("random", "0000000000000abc", "WARNING")
    assert line["together"] == 1
    assert line["seconds"] > 0


async def test_a_request_that_is_cancelled_while_it_waits_is_told_too(
    start_node: Start, requests: pytest.LogCaptureFixture
) -> None:
    node = start_node()
    client = await node.client()
    key, gate, sessions = os.urandom(16), threading.Event(), node.keystore.sessions
    await client.call(Opcode.GENERATE_KEY, GenerateKey(key, "rsa-2048"))
    for _ in range(2):
        spawn(sessions.run(clock.monotonic() + 60, gate.wait), "a busy session")
    await asyncio.sleep(0)
    node.node._slow.use(ALL)
    client.request(Opcode.SIGN, Sign(key, CKM_SHA256_RSA_PKCS, NIL_PARAMETERS, b"data"), operation_id=0xDEF)
    while not sessions.waiting:
        await asyncio.sleep(0.005)
    client.send(kinds.CANCEL, request_id=2)
    frame = await client.frame()
    gate.set()
    (line,) = [
        line for line in lines(requests) if line["operation_id"] == "0000000000000def"
    ]  # making a key is slow, too
    assert frame.status == Status.CANCELLED
    assert line["status"] == "CANCELLED"
    assert line["queued_s"] > 0
    assert (line["device_s"], line["store_s"]) == (0.0, 0.0)


def test_what_proxies_ask_for_themselves_has_no_line(requests: pytest.LogCaptureFixture) -> None:
    own = [Frame(3, 0, number, 0, 0, opcode, 0, 0, b"") for number, opcode in enumerate((Opcode.USAGE, Opcode.CHECK))]
    SlowRequests(ALL).served([*own, Frame(3, 0, 3, 0, 7, Opcode.SIGN, 0, 3, b"")], 2.5)
    (line,) = lines(requests)
    assert (line["operation"], line["together"]) == ("sign", 3)


def test_zero_turns_it_off_and_debug_asks_for_all(caplog: pytest.LogCaptureFixture) -> None:
    slow = SlowRequests(LogSettings(slow_request_s=0))
    assert slow.noted_s == NEVER
    with caplog.at_level(logging.DEBUG, "hsm_node.requests"):
        slow.use(LogSettings(slow_request_s=2.0))
        assert slow.noted_s == 0.0
        frames = [Frame(3, 0, number, 0, 7, Opcode.SIGN, 0, number, b"") for number in (1, 2)]
        slow.served(frames, 0.5)
        slow.served(frames[:1], 2.5)
    usual = lines(caplog, "a request")
    assert [(line["operation_id"][-1], line["level"], line["together"]) for line in usual] == [
        ("1", "DEBUG", 2),
        ("2", "DEBUG", 2),
    ]
    (line,) = lines(caplog)
    assert (line["level"], line["seconds"]) == ("WARNING", 2.5)
