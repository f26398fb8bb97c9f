"""Load against a proxy that does what the test tells it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from fake_cluster import CUT, MUTE, FakeProxy, Keystore

from hsm_client.config import ClientConfig, parse_address
from hsm_client.errors import ClusterUnreachable
from hsm_wire import messages as m
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from hsmctl.bench import load
from hsmctl.bench.plan import LoadPlan
from hsmctl.bench.requests import Prepared
from hsmctl.failures import CommandError

REQUEST = Prepared(Opcode.RANDOM, m.encode_body(m.Random(8)))


@pytest.fixture
async def proxy() -> AsyncIterator[FakeProxy]:
    started = await FakeProxy().start()
    yield started
    await started.stop()


def load_on(
    *proxies: FakeProxy,
    clients: int = 1,
    in_flight: int = 1,
    seconds: float | None = None,
    total: int | None = None,
    rate: float | None = None,
    retry: bool = True,
    timeout_s: float = 5.0,
) -> load.Load:
    config = ClientConfig(tuple(parse_address(proxy.address) for proxy in proxies), None)
    return load.Load(config, LoadPlan(clients, in_flight, seconds, total, rate, retry, timeout_s), REQUEST)


async def test_all_connections_are_open_before_the_first_request(proxy: FakeProxy) -> None:
    open_at_requests: list[int] = []

    class Watching(Keystore):
        def random(self, body: m.Random) -> m.RandomResult:
            open_at_requests.append(len(proxy.connections))
            return super().random(body)

    proxy.keystore = Watching()
    running = load_on(proxy, clients=40, total=80)
    await running.run()
    assert (running.done, running.errors, running.latencies.count) == (80, {}, 80)
    assert set(open_at_requests) == {40}
    assert proxy.accepted == 40


@pytest.mark.parametrize("rate", [None, 0.01])
async def test_one_that_is_ended_starts_no_more_and_counts_what_was_answered(
    proxy: FakeProxy, rate: float | None
) -> None:
    running = load_on(proxy, clients=4, seconds=3600.0, rate=rate)
    measuring = asyncio.create_task(running.run())
    while running.done == 0:
        await asyncio.sleep(0)
    running.end()
    await asyncio.wait_for(measuring, 60.0)
    assert running.done == running.latencies.count
    assert running.errors == {}


async def test_requests_are_in_flight_together(proxy: FakeProxy) -> None:
    proxy.script.extend([MUTE] * 8)
    running = asyncio.ensure_future(load_on(proxy, clients=2, in_flight=4, total=8, timeout_s=0.3, retry=False).run())
    while len(proxy.requests) < 8:
        await asyncio.sleep(0)
    await running


async def test_more_in_flight_than_the_proxy_takes_is_refused_with_what_it_takes(proxy: FakeProxy) -> None:
    with pytest.raises(CommandError, match="--in-flight 16"):
        await load_on(proxy, in_flight=17, total=1).run()
    assert proxy.requests == []


async def test_it_ends_with_the_seconds(proxy: FakeProxy) -> None:
    running = load_on(proxy, seconds=0.1)
    await running.run()
    assert running.done > 10
    assert 0.1 <= running.measured_s < 1


async def test_what_may_be_sent_again_is_no_error(proxy: FakeProxy) -> None:
    proxy.script.extend([Status.UNAVAILABLE, CUT, Status.OVERLOADED])
    running = load_on(proxy, total=2)
    await running.run()
    assert (running.done, running.errors) == (2, {})
    assert len(proxy.requests) == 5
    assert len({frame.operation_id for frame in proxy.requests}) == 2


async def test_without_retry_every_failure_counts_by_its_status_and_has_no_latency(proxy: FakeProxy) -> None:
    proxy.script.extend([Status.UNAVAILABLE, CUT, Status.OVERLOADED, Status.OVERLOADED])
    running = load_on(proxy, total=5, retry=False)
    await running.run()
    assert (running.done, running.latencies.count) == (5, 1)
    assert running.errors == {"UNAVAILABLE": 1, load.CONNECTION_LOST: 1, "OVERLOADED": 2}


async def test_what_sending_again_cannot_mend_is_sent_once(proxy: FakeProxy) -> None:
    proxy.script.append(Status.KEY_NOT_FOUND)
    running = load_on(proxy, total=1)
    await running.run()
    assert (running.errors, len(proxy.requests)) == ({"KEY_NOT_FOUND": 1}, 1)


async def test_no_answer_is_a_timeout(proxy: FakeProxy) -> None:
    proxy.script.append(MUTE)
    running = load_on(proxy, total=1, timeout_s=0.1)
    await running.run()
    assert running.errors == {"TIMEOUT": 1}


async def test_a_rate_is_kept_whatever_the_cluster_could_do(proxy: FakeProxy) -> None:
    running = load_on(proxy, clients=4, seconds=0.3, rate=100)
    await running.run()
    assert (running.done, running.errors) == (30, {})
    assert running.measured_s > 0.28


async def test_latency_counts_from_the_intended_start_and_nothing_that_waits_is_left_out(proxy: FakeProxy) -> None:
    stall_s = 0.2

    class Slow(Keystore):
        def random(self, body: m.Random) -> m.RandomResult:
            if len(proxy.requests) == 1:
                time.sleep(stall_s)
            return super().random(body)

    proxy.keystore = Slow()
    running = load_on(proxy, seconds=0.1, rate=100)
    await running.run()
    assert (running.done, running.errors) == (10, {})
    # The last was meant to start at 90 ms and could not before 200 ms: over 100 ms, though its answer took no time.
    assert running.latencies.percentile_us(10) > 90_000
    assert running.latencies.max_us >= stall_s * 1_000_000


async def test_what_could_not_start_in_time_is_a_timeout_of_its_own(proxy: FakeProxy) -> None:
    proxy.script.append(MUTE)
    running = load_on(proxy, seconds=0.05, rate=100, timeout_s=0.2)
    await running.run()
    assert running.done == 5, running.errors
    assert running.errors["TIMEOUT"] >= 1
    assert running.done - running.errors["TIMEOUT"] == running.latencies.count, running.errors


async def test_a_lost_connection_is_opened_again_on_the_next_proxy(proxy: FakeProxy) -> None:
    other = await FakeProxy().start()
    try:
        proxy.script.append(CUT)
        running = load_on(proxy, other, total=3)
        await running.run()
        assert (running.done, running.errors, len(proxy.requests), len(other.requests)) == (3, {}, 1, 3)
    finally:
        await other.stop()


async def test_a_proxy_that_is_gone_is_named_as_unreachable(proxy: FakeProxy) -> None:
    running = load_on(proxy, seconds=0.5, retry=False)
    task = asyncio.ensure_future(running.run())
    while not running.done:
        await asyncio.sleep(0)
    await proxy.stop()
    await task
    assert running.errors[load.UNREACHABLE] > 0


async def test_without_a_proxy_nothing_is_measured(proxy: FakeProxy) -> None:
    running = load_on(proxy, total=1)
    await proxy.stop()
    with pytest.raises(ClusterUnreachable):
        await running.run()
    assert running.done == 0


async def test_progress_is_told_while_it_runs(proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "PROGRESS_INTERVAL_S", 0.02)
    told: list[float] = []
    await load_on(proxy, seconds=0.2).run(lambda running: told.append(running.measured_s))
    assert len(told) > 2
    assert told == sorted(told)
