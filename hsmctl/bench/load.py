"""Connections and workers that send one request over and over.

Every connection is opened before the clock starts. With a rate, request n is meant to start at n / rate, and its
latency and its time-out count from there: time that it waited because earlier ones were slow is not left out, and
what is still waiting at the end is sent too. Times are the system's clock, not the event loop's: uvloop's moves in
whole milliseconds.
"""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from hsm_client import retry
from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection, ConnectionFull, ConnectionLost
from hsm_client.errors import ClusterError, ClusterUnreachable, HsmError
from hsm_client.tls import TlsIdentity
from hsm_wire.statuses import Status, maybe_status
from hsmctl.bench.histogram import Histogram
from hsmctl.bench.plan import LoadPlan
from hsmctl.bench.requests import Prepared
from hsmctl.failures import USAGE, CommandError

OPENING_AT_A_TIME: Final = 32
"""TLS handshakes under way at once while connections are opened."""
REOPEN_TIMEOUT_S: Final = 3.0
PROGRESS_INTERVAL_S: Final = 0.25
UNREACHABLE: Final = "UNREACHABLE"
"""Counted like a status: no proxy took a connection."""
CONNECTION_LOST: Final = "CONNECTION_LOST"
"""Counted like a status: the connection ended before the answer came."""


class Line:
    """One connection of the load, opened again when it is lost."""

    def __init__(self, proxies: tuple[ProxyAddress, ...], identity: TlsIdentity | None, first: int) -> None:
        self._proxies = proxies
        self._identity = identity
        self._turn = first
        self._opening = asyncio.Lock()
        self._connection: Connection | None = None

    async def connection(self, timeout_s: float) -> Connection:
        """Return the connection, opening it on the next proxy where there is none that takes requests."""
        found = self._connection
        if found is not None and found.usable:
            return found
        async with self._opening:
            if self._connection is None or not self._connection.usable:
                address = self._proxies[self._turn % len(self._proxies)]
                self._turn += 1
                self._connection = await Connection.open(address, self._identity, timeout_s=timeout_s)
            return self._connection

    @property
    def max_in_flight(self) -> int:
        """Requests that the connection takes at a time; 0 before it is open."""
        return self._connection.max_in_flight if self._connection is not None else 0

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()


class Load:
    """One measurement. `done`, `errors` and `latencies` may be read while it runs."""

    def __init__(self, config: ClientConfig, plan: LoadPlan, request: Prepared) -> None:
        self._config = config
        self._plan = plan
        self._request = request
        self._rng = random.Random()
        self._lines: list[Line] = []
        self._asleep: set[asyncio.Task[None]] = set()
        """Workers whose next request is not due yet."""
        self._issued = 0
        self._begin = 0.0
        self._end = float("inf")
        self.done = 0
        self.errors: Counter[str] = Counter()
        self.latencies = Histogram()
        self.elapsed_s = 0.0

    @property
    def measured_s(self) -> float:
        """Seconds since the measurement began, or that it took; 0 while connections are opened."""
        return self.elapsed_s or (time.monotonic() - self._begin if self._begin else 0.0)

    async def run(self, progress: Callable[["Load"], None] | None = None) -> None:
        """Open all connections, then measure.

        Raises:
            HsmError: not every connection could be opened.
            CommandError: a connection takes fewer requests at a time than the plan wants.
        """
        ticker = _Ticker(lambda: progress(self)) if progress is not None else None
        try:
            await self._open()
            self._begin = time.monotonic()
            if self._plan.seconds is not None:
                self._end = self._begin + self._plan.seconds
            async with asyncio.TaskGroup() as group:
                for line in self._lines:
                    for _ in range(self._plan.in_flight):
                        group.create_task(self._work(line))
            self.elapsed_s = time.monotonic() - self._begin
        finally:
            if ticker is not None:
                ticker.stop()
            await asyncio.gather(*(line.close() for line in self._lines))

    def end(self) -> None:
        """Start no request any more; the measurement is over when those under way are answered."""
        self._end = min(self._end, time.monotonic())
        for worker in self._asleep:
            worker.cancel()

    async def _open(self) -> None:
        identity = TlsIdentity(self._config.tls) if self._config.tls is not None else None
        gate = asyncio.Semaphore(OPENING_AT_A_TIME)
        self._lines = [Line(self._config.proxies, identity, first) for first in range(self._plan.clients)]

        async def open_one(line: Line) -> None:
            async with gate:
                await line.connection(self._plan.timeout_s)

        outcomes = await asyncio.gather(*(open_one(line) for line in self._lines), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        room = min(line.max_in_flight for line in self._lines)
        if room < self._plan.in_flight:
            raise CommandError(
                f"the proxy takes {room} requests at a time on a connection; use --in-flight {room} and more --clients",
                USAGE,
            )

    async def _work(self, line: Line) -> None:
        while (intended := self._next_start(time.monotonic())) is not None:
            wait_s = intended - time.monotonic()
            if wait_s > 0:
                await self._sleep(wait_s)
            # A loop may wake us a little early; nothing is gained by that.
            failure = await self._call(line, min(intended, time.monotonic()))
            self.done += 1
            if failure is not None:
                self.errors[failure] += 1

    async def _sleep(self, wait_s: float) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        self._asleep.add(worker)
        try:
            await asyncio.sleep(wait_s)
        finally:
            self._asleep.discard(worker)

    def _next_start(self, now: float) -> float | None:
        """Return when the next request is meant to start (with a rate also long ago), or None when there is none."""
        if self._plan.total is not None and self._issued >= self._plan.total:
            return None
        start = self._begin + self._issued / self._plan.rate if self._plan.rate is not None else now
        if start >= self._end:
            return None
        self._issued += 1
        return start

    async def _call(self, line: Line, start: float) -> str | None:
        """Send until there is an answer that stands; return what failed, or None. A failure has no latency."""
        deadline = start + self._plan.timeout_s
        operation_id = secrets.randbits(64)
        attempt = 0
        if time.monotonic() >= deadline:
            return Status.TIMEOUT.name
        while True:
            failure, again = await self._attempt(line, deadline, operation_id)
            if failure is None:
                self.latencies.record(round((time.monotonic() - start) * 1_000_000))
                return None
            attempt += 1
            wait_s = retry.resend_wait_s(attempt, 0, self._rng)
            if not again or not self._plan.retry or time.monotonic() + wait_s >= deadline:
                return failure
            await asyncio.sleep(wait_s)

    async def _attempt(self, line: Line, deadline: float, operation_id: int) -> tuple[str | None, bool]:
        """Send once; return what failed (None: nothing) and whether sending again may help."""
        left_s = max(deadline - time.monotonic(), 0.001)
        try:
            connection = await line.connection(min(left_s, REOPEN_TIMEOUT_S))
        except ClusterUnreachable:
            return UNREACHABLE, True
        except ConnectionLost:
            return CONNECTION_LOST, True
        except HsmError as error:
            # A proxy that is full or just starting refuses the connection; the next one may take it.
            return error.status_name, isinstance(error, ClusterError)
        try:
            request = self._request
            frame = await connection.send(request.opcode, request.body, timeout_s=left_s, operation_id=operation_id)
        except (ConnectionLost, ConnectionFull):
            return CONNECTION_LOST, True
        except HsmError as error:
            return error.status_name, False
        if frame.status == Status.OK:
            return None, False
        known = maybe_status(frame.status)
        return known.name if known is not None else f"{frame.status:#06x}", retry.may_resend(frame.status)


class _Ticker:
    """Calls back at an even pace, without a task."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_later(PROGRESS_INTERVAL_S, self._tick)

    def stop(self) -> None:
        self._handle.cancel()

    def _tick(self) -> None:
        self._callback()
        self._handle = self._loop.call_later(PROGRESS_INTERVAL_S, self._tick)
