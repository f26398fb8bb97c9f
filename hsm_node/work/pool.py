"""A bounded queue before a few threads; everything but the work itself happens on the event loop.

A thread that has done its work takes the next job itself: what it has to wait for, a device say, would else stand idle
until the loop has heard of the end and another thread has been woken.
"""

import asyncio
import contextlib
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, Generic, Protocol, TypeVar

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.core.work_queue import WorkQueue
from hsm_wire.statuses import Status

SWEEP_INTERVAL_S: Final = 0.1
"""How late a request that waits may be told that its time is up."""

T = TypeVar("T")


class Asker(Protocol):
    """Whoever a job is done for."""

    def worked(self, pool: str, waited_s: float, worked_s: float) -> None:
        """Hear, on the loop and before the job's end, how long it waited for a thread and how long it took there."""


class Job(Generic[T]):
    """Work for a thread, and who hears of its end, on the loop: exactly one of `result` and `failure`, once."""

    __slots__ = ("asker", "begun", "deadline", "failure", "measured", "result", "submitted", "work")

    def __init__(
        self,
        deadline: float,
        work: Callable[[], T],
        result: Callable[[T], None],
        failure: Callable[[Exception], None],
        *,
        measured: bool = True,
        asker: Asker | None = None,
    ) -> None:
        self.asker = asker
        self.submitted = self.begun = 0.0
        self.deadline = deadline
        self.measured = measured
        """Whether the time that it takes says something about the pool's usual work."""
        self.work = work
        self.result = result
        self.failure = failure


class Pool:
    """Threads for one kind of work."""

    def __init__(
        self,
        name: str,
        workers: int,
        max_waiting: int,
        served: Callable[[float], None] | None = None,
        *,
        nice: int = 0,
    ) -> None:
        """Start no thread yet.

        Args:
            name: of the threads.
            workers: how many there are at most.
            max_waiting: jobs that may wait for one.
            served: hears how many seconds each measured job took in its thread.
            nice: how much lower than the process's the threads' priority is.
        """
        self._name = name
        self._queue: WorkQueue[Job[object]] = WorkQueue(workers, max_waiting)
        self._lock = threading.Lock()
        """Of the queue: the loop fills it, and threads take out of it."""
        self._executor = ThreadPoolExecutor(
            workers, thread_name_prefix=name, initializer=partial(_be_nice, nice) if nice else None
        )
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._served = served
        self.expired = 0
        """Jobs whose time was up before a thread was free."""

    @property
    def waiting(self) -> int:
        """Jobs without a thread yet."""
        return self._queue.waiting

    @property
    def running(self) -> int:
        """Jobs in a thread."""
        return self._queue.running

    def submit(self, job: Job[T]) -> None:
        """Queue a job.

        Raises:
            Refusal: the queue is full, or the node is stopping.
        """
        if self._closed:
            raise _stopping()
        job.submitted = now = clock.monotonic()
        with self._lock:
            self._queue.offer(job)  # type: ignore[arg-type]  # the queue never looks into a job's result
        self._start(now)

    async def run(
        self, deadline: float, work: Callable[[], T], *, measured: bool = True, asker: Asker | None = None
    ) -> T:
        """Run the work in a thread and return what it returns; raises what it raises, or the queue's refusal."""
        future: asyncio.Future[T] = self._loop.create_future()

        def result(value: T) -> None:
            if not future.done():
                future.set_result(value)

        def failure(error: Exception) -> None:
            if not future.done():
                future.set_exception(error)

        self.submit(Job(deadline, work, result, failure, measured=measured, asker=asker))
        return await future

    def withdraw(self, job: Job[T]) -> bool:
        """Take a job out that has not started; False where it has."""
        with self._lock:
            withdrawn = self._queue.withdraw(job)  # type: ignore[arg-type]  # as in `submit`
        if withdrawn and job.asker is not None:
            job.asker.worked(self._name, clock.monotonic() - job.submitted, 0.0)
        return withdrawn

    def sweep(self) -> None:
        """Answer the waiting jobs whose time is up. Called every SWEEP_INTERVAL_S."""
        now = clock.monotonic()
        with self._lock:
            expired = self._queue.expire(now)
        self._fail(expired, now)

    def close(self) -> None:
        """Let the threads end after what they are doing; what still waits is refused."""
        self._closed = True
        self._executor.shutdown(wait=False)  # What was handed to it has a thread, and an end that somebody waits for.
        with self._lock:
            left = self._queue.expire(math.inf)
        for job in left:
            job.failure(_stopping())

    def _start(self, now: float) -> None:
        with self._lock:
            started, expired = self._queue.start(now)
        for job in started:
            self._executor.submit(self._run_jobs, job)
        self._fail(expired, now)

    def _fail(self, expired: list[Job[object]], now: float) -> None:
        for job in expired:
            self.expired += 1
            if job.asker is not None:
                job.asker.worked(self._name, now - job.submitted, 0.0)
            job.failure(Refusal(Status.TIMEOUT, "the time ran out while the request waited", not_executed=True))

    def _run_jobs(self, job: Job[object]) -> None:
        """In a thread: do the work, hand its end to the loop, go on with what has waited."""
        following: Job[object] | None = job
        while following is not None:
            following = self._run_job(following)

    def _run_job(self, job: Job[object]) -> Job[object] | None:
        """Do one, and return what takes its place."""
        job.begun = clock.monotonic()
        value: object = None
        error: Exception | None = None
        try:
            value = job.work()
        except Exception as raised:  # noqa: BLE001 - handed to the loop, which answers and logs it
            error = raised
        except BaseException as raised:  # noqa: BLE001 - a panic of a library is none of Exception's, but an answer is owed
            error = RuntimeError(f"the work ended with {type(raised).__name__}")
        now = clock.monotonic()
        with self._lock:
            following = None if self._closed else self._queue.following(now)
            if following is None:
                self._queue.finish()
        if not self._loop.is_closed():  # After a forced stop nobody waits for the end.
            self._loop.call_soon_threadsafe(self._ended, job, value, error, now - job.begun)
        return following

    def _ended(self, job: Job[object], value: object, error: Exception | None, seconds: float) -> None:
        if not self._closed:
            self._start(clock.monotonic())
        if job.asker is not None:
            job.asker.worked(self._name, job.begun - job.submitted, seconds)
        if self._served is not None and job.measured:
            self._served(seconds)
        if error is None:
            job.result(value)
        else:
            job.failure(error)


def _be_nice(steps: int) -> None:
    """In a new thread: lower its priority, where the system gives threads one of their own (Linux).

    A thread inherits the real-time class that its process may have (the unit's `CPUSchedulingPolicy`), in which no
    niceness counts: it leaves that.
    """
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + steps)


def _stopping() -> Refusal:
    return Refusal(Status.GOING_AWAY, "the node is shutting down", not_executed=True)
