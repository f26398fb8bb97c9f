"""A loop without sockets whose clock stands still until it is told to go on, and transports that only keep notes.

What a shell does with asyncio becomes a function of the input: callbacks run in their order when `settle` or
`advance` is called, and an exception in one of them is the input's outcome.
"""

import asyncio
import heapq
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hsm_daemon import clock

MAX_TURNS = 10_000
"""Callbacks in one `settle`; more is a loop that feeds itself."""


class Handle:
    """A callback that may be cancelled."""

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.callback: Callable[..., Any] | None = callback
        self.arguments = arguments

    def cancel(self) -> None:
        self.callback = None

    def run(self) -> None:
        if self.callback is not None:
            self.callback(*self.arguments)


class StillLoop(asyncio.AbstractEventLoop):
    """The part of a loop that protocols use."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._ready: deque[Handle] = deque()
        self._later: list[tuple[float, int, Handle]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    def get_debug(self) -> bool:
        return False

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(f"an exception that nobody took: {context}")

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args)
        self._count += 1
        heapq.heappush(self._later, (self.now + delay, self._count, handle))
        return handle

    def settle(self) -> None:
        """Run what is ready, and what follows from it."""
        for _ in range(MAX_TURNS):
            if not self._ready:
                return
            self._ready.popleft().run()
        raise AssertionError("the callbacks never end")

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        self.settle()
        while self._later and self._later[0][0] <= until:
            self.now, _, handle = heapq.heappop(self._later)
            handle.run()
            self.settle()
        self.now = until


class Raises(logging.Handler):
    """Makes a fault that was only written down a find."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.ERROR:
            raise AssertionError(f"logged: {record.getMessage()}") from (record.exc_info or (None, None))[1]


@contextmanager
def still_world(*loggers: str) -> Iterator[StillLoop]:
    """Make a loop the running one, and its clock ours."""
    loop, handler, before = StillLoop(), Raises(), asyncio.events._get_running_loop()
    real = clock.monotonic
    logs = [(logging.getLogger(name), logging.getLogger(name).propagate) for name in loggers]
    clock.monotonic = loop.time
    asyncio.events._set_running_loop(loop)
    for log, _ in logs:
        log.addHandler(handler)
        log.propagate = False
    try:
        yield loop
    finally:
        for log, propagate in logs:
            log.removeHandler(handler)
            log.propagate = propagate
        asyncio.events._set_running_loop(before)
        clock.monotonic = real


class StillTransport:
    """One end of a connection; the test is the other one."""

    def __init__(self, loop: StillLoop, protocol: Any) -> None:
        self._loop = loop
        self._protocol = protocol
        self._reading = True
        self._closing = False
        self._ended = False
        self._unread = bytearray()
        self._high = 65536
        self._told = False
        self.stuck = False
        """The peer does not read."""
        self.waiting = 0
        self.most_waiting = 0
        self.written = bytearray()
        self.delivered = bytearray()
        protocol.connection_made(self)

    # ---- the protocol's side

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = high or 65536

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return self._closing

    def can_write_eof(self) -> bool:
        return True

    def pause_reading(self) -> None:
        assert not self._closing, "a closing transport is paused"
        self._reading = False

    def resume_reading(self) -> None:
        assert not self._closing, "a closing transport is resumed"
        self._reading = True
        self._loop.call_soon(self._deliver)

    def write(self, data: bytes) -> None:
        assert not self._closing, "a write to a closing transport"
        assert not self._ended, "a write after the half-close"
        self.written += data
        if self.stuck:
            self.waiting += len(data)
            self.most_waiting = max(self.most_waiting, self.waiting)
            if self.waiting > self._high and not self._told:
                self._told = True
                self._protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self._closing
        self._ended = True

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close

    # ---- the peer's side

    def feed(self, data: bytes) -> None:
        """Send to the protocol; what it does not read waits."""
        self._unread += data
        self._deliver()
        self._loop.settle()

    def end(self) -> None:
        """Shut down the sending side."""
        if not self._closing and not self._protocol.eof_received():
            self.close()
        self._loop.settle()

    def read(self) -> None:
        """Read everything from now on."""
        self.stuck = False
        self.waiting = 0
        if self._told:
            self._told = False
            self._protocol.resume_writing()
        self._loop.settle()

    def _deliver(self) -> None:
        if self._reading and not self._closing and self._unread:
            data = bytes(self._unread)
            self._unread.clear()
            self.delivered += data
            self._protocol.data_received(data)
