"""Which version runs where."""

from collections.abc import AsyncIterator

import pytest
from fake_cluster import FakeProxy
from reports import node, report

from hsm_client.config import ClientConfig, ProxyAddress
from hsm_wire.messages import InfoResult
from hsm_wire.statuses import Status
from hsmctl.doctor.software import QUESTIONS_PER_NODE, own_version, versions_seen
from hsmctl.proxies import Answer, Asker


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    made = await FakeProxy().start()
    yield made
    await made.stop()


def info(name: str, software: str) -> tuple[Status, InfoResult]:
    return Status.OK, InfoResult("payments", name, software, [], [])


async def seen(proxy: FakeProxy, *nodes: str) -> dict[str, str]:
    address = ProxyAddress("127.0.0.1", proxy.port)
    made = report(*map(node, nodes), software="hsm-proxy 0.1.0")
    return await versions_seen(Asker(ClientConfig((address,), None)), [Answer(address, made, None)])


async def test_nodes_are_asked_until_each_has_answered(proxy: FakeProxy) -> None:
    proxy.script.extend([info("a", "redoubt-node/0.1.0")] * 3 + [info("b", "redoubt-node/0.2.0rc1")])
    assert await seen(proxy, "a", "b") == {"proxy proxy-1": "0.1.0", "node a": "0.1.0", "node b": "0.2.0rc1"}
    assert (len(proxy.requests), proxy.accepted) == (4, 1)


async def test_a_node_that_is_never_drawn_is_given_up(proxy: FakeProxy) -> None:
    proxy.script.extend([info("a", "x 1")] * 100)
    assert "node b" not in await seen(proxy, "a", "b")
    assert len(proxy.requests) == 2 * QUESTIONS_PER_NODE


async def test_a_failure_ends_the_questions_and_is_named_elsewhere(proxy: FakeProxy) -> None:
    proxy.script.append(Status.UNAVAILABLE)
    assert await seen(proxy, "a") == {"proxy proxy-1": "0.1.0"}


def test_our_own_version_is_that_of_the_package() -> None:
    assert own_version()[0].isdigit()
