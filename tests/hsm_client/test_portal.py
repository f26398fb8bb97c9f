"""The blocking client's loop."""

import asyncio
import concurrent.futures
import contextvars
import gc
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from hsm_client.portal import Portal

THREADS = 64
CALLS = 20
"""Of each thread: with 64 of them several hundred are under way while others begin and end."""


@pytest.fixture
def portal() -> Iterator[Portal]:
    """A loop of the test's own."""
    started = Portal()
    yield started
    started.stop()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


def test_work_runs_on_the_loop_and_a_stopped_portal_starts_again(portal):
    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    for _ in range(2):
        assert portal.run(answer) == 42
        portal.stop()


def test_blocking_on_the_own_loop_is_refused(portal):
    async def inside() -> None:
        portal.run(inside)

    with pytest.raises(RuntimeError, match="own event loop"):
        portal.run(inside)


def test_each_of_many_threads_gets_its_own_answers_and_errors(portal):
    begin = threading.Barrier(THREADS)

    async def answer(number: int) -> int:
        for _ in range(number % 3):  # so that they end in another order than they began
            await asyncio.sleep(0)
        if number % 5 == 0:
            raise ValueError(number)
        return number

    def asked(number: int) -> int:
        try:
            return portal.run(lambda: answer(number))
        except ValueError as error:
            return int(error.args[0])

    def ask(thread: int) -> bool:
        begin.wait()
        numbers = range(thread * CALLS, (thread + 1) * CALLS)
        return [asked(number) for number in numbers] == list(numbers)

    with ThreadPoolExecutor(THREADS) as threads:
        assert all(threads.map(ask, range(THREADS)))


def test_calls_that_come_while_the_loop_is_busy_wake_it_once_and_are_taken_together(portal):
    busy, going_on, order = threading.Event(), threading.Event(), []

    async def hold() -> None:
        busy.set()
        going_on.wait()

    async def note(number: int) -> None:
        order.append(number)

    with ThreadPoolExecutor(9) as threads:
        holding = threads.submit(portal.run, hold)
        busy.wait()
        runner = portal._runner
        wakes = []
        real = runner.loop

        class Counted:
            """The loop, and who wakes it."""

            def call_soon_threadsafe(self, callback):
                wakes.append(callback)
                return real.call_soon_threadsafe(callback)

        runner.loop = Counted()
        noting = [threads.submit(portal.run, lambda number=number: note(number)) for number in range(8)]
        while len(runner._calls) < 8:
            time.sleep(0.001)
        runner.loop = real
        going_on.set()
        for each in [holding, *noting]:
            each.result()
    assert len(wakes) == 1
    assert sorted(order) == list(range(8))


def test_an_interrupted_thread_cancels_its_coroutine_and_calls_again(portal):
    main, cancelled = threading.main_thread().ident, threading.Event()

    async def interrupt() -> None:
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await forever()
        finally:
            cancelled.set()

    async def answer() -> int:
        return 42

    for _ in range(20):
        cancelled.clear()
        with pytest.raises(KeyboardInterrupt):
            portal.run(interrupt)
        assert portal.run(answer) == 42
        assert cancelled.wait(10)


def test_who_waits_when_the_loop_ends_is_told_and_whoever_comes_too_late_too(portal):
    begun = threading.Event()

    async def wait() -> None:
        begun.set()
        await forever()

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(portal.run, wait)
        begun.wait()
        runner = portal._runner
        portal.stop()
        with pytest.raises(concurrent.futures.CancelledError):
            waiting.result(10)
        portal._runner = runner  # as a thread sees it that looked just before
        with pytest.raises(concurrent.futures.CancelledError):
            portal.run(forever)
    portal._runner = None


def test_the_coroutine_of_who_gave_up_before_the_loop_took_it_never_runs(portal):
    ran, busy, going_on = [], threading.Event(), threading.Event()
    main = threading.main_thread().ident

    async def hold() -> None:
        busy.set()
        while not portal._runner._calls:
            going_on.wait(0.001)
        signal.pthread_kill(main, signal.SIGINT)
        going_on.wait()

    async def note() -> None:
        ran.append(1)

    async def nothing() -> None:
        pass

    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(portal.run, hold)
        busy.wait()
        with pytest.raises(KeyboardInterrupt):
            portal.run(note)
        going_on.set()
        holding.result(10)
    portal.run(nothing)
    assert not ran


def test_an_interrupt_while_the_loop_is_woken_leaves_nobody_waiting_who_relied_on_it(portal, monkeypatch):
    async def answer() -> int:
        return 42

    portal.run(answer)
    runner = portal._runner
    real, other = runner.loop.call_soon_threadsafe, ThreadPoolExecutor(1)
    waiting = []

    class Interrupted:
        """The loop, whose first waking is interrupted when another thread has left its call."""

        def call_soon_threadsafe(self, *arguments: object) -> object:
            if waiting:
                return real(*arguments)
            waiting.append(other.submit(portal.run, answer))
            while len(runner._calls) < 2:
                time.sleep(0.001)
            raise KeyboardInterrupt

        def __getattr__(self, name: str) -> object:
            return getattr(kept, name)

    kept = runner.loop
    with other:
        monkeypatch.setattr(runner, "loop", Interrupted())
        with pytest.raises(KeyboardInterrupt):
            portal.run(answer)
        monkeypatch.setattr(runner, "loop", kept)
        assert waiting[0].result(10) == 42


def test_the_loop_knows_the_callers_context(portal):
    name = contextvars.ContextVar("name", default="nobody")

    async def look() -> str:
        return name.get()

    name.set("caller")
    assert portal.run(look) == "caller"


def test_an_error_leaves_with_its_thread_and_waits_for_no_garbage_collector(portal):
    class Told(Exception):  # noqa: N818 - not a real error
        pass

    async def fail() -> None:
        raise Told

    def seen() -> weakref.ref[Told]:
        try:
            portal.run(fail)
        except Told as error:
            return weakref.ref(error)
        raise AssertionError

    gc.disable()
    try:
        error = seen()
        portal.run(lambda: asyncio.sleep(0))  # the loop lets go of it at its next turn
        assert error() is None
    finally:
        gc.enable()
