"""Every proxy asked the same at once."""

from collections.abc import AsyncIterator

import pytest
from fake_cluster import CUT, MUTE, FakeProxy

from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.errors import ClusterUnreachable
from hsm_wire.forms import Empty
from hsm_wire.messages import RandomResult, StatusResult
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.proxies import Answer, Asker


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    made = await FakeProxy().start()
    yield made
    await made.stop()


async def ask(*ports: int, timeout_s: float = 2.0) -> list[Answer[StatusResult]]:
    config = ClientConfig(tuple(ProxyAddress("127.0.0.1", port) for port in ports), None)
    return await Asker(config, timeout_s).ask(Opcode.STATUS, Empty(), StatusResult)


async def test_every_proxy_answers_once_even_where_it_is_named_twice(proxy: FakeProxy) -> None:
    other = await FakeProxy().start()
    try:
        answers = await ask(proxy.port, other.port, proxy.port)
    finally:
        await other.stop()
    assert [answer.address.port for answer in answers] == [proxy.port, other.port]
    assert all(answer.result is not None and answer.fault is None for answer in answers)
    assert all(answer.asked_at > 1.7e9 and 0 < answer.round_trip_s < 2 for answer in answers)
    assert len(proxy.requests) == 1


@pytest.mark.parametrize("scripted", [CUT, MUTE, Status.UNAVAILABLE, (Status.OK, RandomResult(b"x"))])
async def test_whatever_goes_wrong_is_the_answer_of_that_proxy(proxy: FakeProxy, scripted: object) -> None:
    proxy.script.append(scripted)
    [answer] = await ask(proxy.port, timeout_s=0.1)
    assert answer.result is None
    assert answer.fault is not None
    assert str(answer.fault)


async def test_nobody_there_is_an_answer_too() -> None:
    [answer] = await ask(1)
    assert isinstance(answer.fault, ClusterUnreachable)
