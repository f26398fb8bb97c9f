import asyncio
import os
import threading
from collections.abc import AsyncIterator

import pytest

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.work.pool import Job, Pool
from hsm_wire.statuses import Status

LATER = 1e12


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool("test", 1, 2)
    yield made
    made.close()


async def test_work_runs_in_a_thread_and_its_end_is_heard_on_the_loop(pool: Pool) -> None:
    assert await pool.run(LATER, threading.get_ident) != threading.get_ident()
    with pytest.raises(ZeroDivisionError):
        await pool.run(LATER, lambda: 1 // 0)
    assert (pool.running, pool.waiting) == (0, 0)


async def test_work_whose_time_is_up_is_answered_not_run(pool: Pool) -> None:
    ran: list[int] = []
    with pytest.raises(Refusal) as refused:
        await pool.run(clock.monotonic() - 1, lambda: ran.append(1))
    assert (refused.value.status, refused.value.not_executed, ran, pool.expired) == (Status.TIMEOUT, True, [], 1)


async def test_waiting_work_can_expire_be_withdrawn_and_be_too_much(pool: Pool) -> None:
    gate = threading.Event()
    blocked = asyncio.ensure_future(pool.run(LATER, gate.wait))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(pool.run(clock.monotonic() + 0.001, lambda: None))
    await asyncio.sleep(0.005)
    pool.sweep()
    with pytest.raises(Refusal):
        await waiting
    job: Job[None] = Job(LATER, lambda: None, lambda _: None, lambda _: None)
    pool.submit(job)
    assert pool.withdraw(job)
    assert not pool.withdraw(job)
    for _ in range(2):
        pool.submit(Job(LATER, lambda: None, lambda _: None, lambda _: None))
    with pytest.raises(Refusal) as refused:
        pool.submit(job)
    assert refused.value.status is Status.OVERLOADED
    gate.set()
    assert await blocked


async def test_a_thread_goes_on_with_what_waits_while_the_loop_does_something_else(pool: Pool) -> None:
    first, second = threading.Event(), threading.Event()
    ends: list[str] = []
    pool.submit(Job(LATER, first.set, lambda _: ends.append("first"), lambda _: None))
    pool.submit(Job(LATER, second.set, lambda _: ends.append("second"), lambda _: None))
    assert first.wait(60)
    assert second.wait(60)  # The loop stands here.
    assert ends == []
    while len(ends) < 2:
        await asyncio.sleep(0.001)
    assert (ends, pool.running, pool.waiting) == (["first", "second"], 0, 0)


async def test_a_thread_leaves_to_the_loop_what_is_too_late(pool: Pool) -> None:
    gate, ran = threading.Event(), threading.Event()
    blocked = asyncio.ensure_future(pool.run(LATER, gate.wait))
    await asyncio.sleep(0)
    late = asyncio.ensure_future(pool.run(clock.monotonic() + 0.001, ran.set))
    after = asyncio.ensure_future(pool.run(LATER, lambda: "after"))
    await asyncio.sleep(0.005)
    gate.set()
    assert await blocked
    with pytest.raises(Refusal):
        await late
    assert await after == "after"
    assert not ran.is_set()


async def test_service_times_are_reported() -> None:
    seen: list[float] = []
    pool = Pool("test", 1, 2, seen.append)
    await pool.run(LATER, lambda: None)
    pool.close()
    assert len(seen) == 1


async def test_what_is_not_measured_is_not_reported() -> None:
    seen: list[float] = []
    pool = Pool("test", 1, 2, seen.append)
    await pool.run(LATER, lambda: None, measured=False)
    pool.close()
    assert seen == []


async def test_threads_can_be_nicer_than_the_process() -> None:
    pool = Pool("test", 1, 2, nice=10)

    def priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    ours = priority()
    assert await pool.run(LATER, priority) == min(19, ours + 10)
    assert priority() == ours
    pool.close()


async def test_nicer_threads_leave_the_real_time_class_of_their_process() -> None:
    pool = Pool("test", 1, 2, nice=10)
    usual = os.sched_getscheduler(0)
    try:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # like a real-time class it is inherited
        assert await pool.run(LATER, lambda: os.sched_getscheduler(threading.get_native_id())) == os.SCHED_OTHER
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, usual, os.sched_param(0))
        pool.close()


async def test_a_pool_that_closes_ends_what_it_has_begun_and_refuses_the_rest() -> None:
    pool = Pool("test", 1, 2)
    gate = threading.Event()
    begun = asyncio.ensure_future(pool.run(LATER, gate.wait))
    waiting = asyncio.ensure_future(pool.run(LATER, lambda: None))
    await asyncio.sleep(0)
    pool.close()
    for work in (waiting, pool.run(LATER, lambda: None)):
        with pytest.raises(Refusal) as refused:
            await work
        assert (refused.value.status, refused.value.not_executed) == (Status.GOING_AWAY, True)
    gate.set()
    assert await begun


class Heard:
    """Keeps what it hears of its work."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float, float]] = []

    def worked(self, pool: str, waited_s: float, worked_s: float) -> None:
        self.times.append((pool, waited_s, worked_s))


async def test_who_asked_hears_how_long_it_waited_and_worked(pool: Pool) -> None:
    gate, asker, patient = threading.Event(), Heard(), Heard()
    first = asyncio.ensure_future(pool.run(LATER, lambda: gate.wait(5), asker=asker))
    second = asyncio.ensure_future(pool.run(LATER, lambda: None, asker=patient))
    await asyncio.sleep(0.02)
    gate.set()
    await first
    await second
    ((name, waited_s, worked_s),) = asker.times
    assert name == "test"
    assert worked_s >= 0.015 > waited_s >= 0
    ((_, waited_s, worked_s),) = patient.times
    assert waited_s >= 0.015 > worked_s >= 0


async def test_who_asked_for_what_never_ran_hears_how_long_it_waited(pool: Pool) -> None:
    gate, late, withdrawn = threading.Event(), Heard(), Heard()
    running = asyncio.ensure_future(pool.run(LATER, lambda: gate.wait(5)))
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(pool.run(clock.monotonic() + 0.001, lambda: None, asker=late))
    job: Job[None] = Job(LATER, lambda: None, lambda _: None, lambda _: None, asker=withdrawn)
    pool.submit(job)
    await asyncio.sleep(0.02)
    pool.sweep()
    assert pool.withdraw(job)
    gate.set()
    await running
    with pytest.raises(Refusal):
        await waiting
    for heard in (late, withdrawn):
        ((_, waited_s, worked_s),) = heard.times
        assert (waited_s > 0, worked_s) == (True, 0.0)
