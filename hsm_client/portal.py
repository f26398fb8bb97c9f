"""One background event loop a process, on which all blocking clients run.

A thread does not survive fork(): the child starts a loop of its own at its first call.

Per call there is a lock that the thread waits on, and a task. Threads leave their calls in one queue, and only the
first of them wakes the loop: what comes until it looks is taken with it.
"""

import asyncio
import atexit
import concurrent.futures
import contextlib
import contextvars
import importlib
import os
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

STOP_S: Final = 2.0
"""Longest wait for the loop's thread at the end of the process."""
INTERRUPT_S: Final = 0.5
"""Within which an interrupt is noticed that comes just before a thread waits: the system wakes only who waits."""
_T = TypeVar("_T")


def _new_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("HSM_EVENT_LOOP") != "asyncio":
        try:
            loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        except ImportError:
            return asyncio.new_event_loop()
        return loop
    return asyncio.new_event_loop()


class _Call(Generic[_T]):
    """A coroutine that a thread waits for: the thread makes it and waits, the loop's thread does the rest."""

    __slots__ = ("_context", "_error", "_given_up", "_over", "_task", "_value", "_work")

    def __init__(self, work: Coroutine[Any, Any, _T]) -> None:
        self._work = work
        # What the caller's own log filters look up in its context holds on the loop too.
        self._context = contextvars.copy_context()
        # Never used again: a late release could end another wait too early.
        self._over = threading.Lock()
        self._over.acquire()
        self._task: asyncio.Task[_T] | None = None
        self._given_up = False
        self._error: BaseException | None = None
        self._value: _T

    def wait(self) -> None:
        while not self._over.acquire(timeout=INTERRUPT_S):
            pass  # Here the interpreter looks whether there was one.

    def result(self) -> _T:
        """Return or raise what the coroutine did, once `wait` is over."""
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            self._error = None  # Cuts the circle: the error knows this frame.

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._given_up:
            self.refuse()
            return
        self._task = loop.create_task(self._work, context=self._context)
        self._task.add_done_callback(self._finish)

    def give_up(self) -> None:
        """Nobody waits any more."""
        self._given_up = True
        if self._task is not None:
            self._task.cancel()

    def refuse(self) -> None:
        """End it unstarted."""
        self._work.close()
        self._error = concurrent.futures.CancelledError()
        self._over.release()

    def _finish(self, task: "asyncio.Task[_T]") -> None:
        if task.cancelled():
            self._error = concurrent.futures.CancelledError()
        else:
            self._error = task.exception()
            if self._error is None:
                self._value = task.result()
        self._task = None
        self._over.release()


class _Runner:
    """The loop, its thread, and the calls that it has not taken yet: one at most of each thread that waits."""

    def __init__(self) -> None:
        self.loop = _new_loop()
        self.thread = threading.Thread(target=self._serve, name="hsm-client", daemon=True)
        self._calls: deque[_Call[Any]] = deque()
        self._woken = False
        """The loop will look into the queue without being woken again."""
        self._ended = False

    def submit(self, call: _Call[Any]) -> None:
        """Leave a call to the loop."""
        # In this order, and `_take` and `_serve` in the other one: whatever is seen here, the call is seen there.
        self._calls.append(call)
        if self._ended:
            self._refuse_all()
        elif not self._woken:
            try:
                self._woken = True
                self.loop.call_soon_threadsafe(self._take)
            except BaseException:  # After a KeyboardInterrupt others may have relied on this thread.
                self._woken = False
                with contextlib.suppress(RuntimeError):  # the loop is closed, at the end of the process
                    self.loop.call_soon_threadsafe(self._take)
                raise

    def _take(self) -> None:
        self._woken = False
        while self._calls and not self._ended:
            self._calls.popleft().start(self.loop)

    def _refuse_all(self) -> None:
        while True:
            try:
                call = self._calls.popleft()
            except IndexError:
                return
            call.refuse()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            try:
                self.loop.run_forever()
            finally:
                self._ended = True
                self._refuse_all()
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        finally:
            self.loop.close()


class Portal:
    """Runs coroutines for threads that have no event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runner: _Runner | None = None
        self._parents: list[object] = []

    def run(self, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine to its end; a KeyboardInterrupt here cancels it there."""
        runner = self._runner or self._started()
        if threading.get_ident() == runner.thread.ident:
            raise RuntimeError("the blocking client cannot be used on its own event loop; use hsm_client.connect")
        call = _Call(make())
        try:
            runner.submit(call)
            call.wait()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the loop is closed, at the end of the process
                runner.loop.call_soon_threadsafe(call.give_up)
            raise
        return call.result()

    def stop(self) -> None:
        """End the loop; the next call starts another one."""
        with self._lock:
            runner, self._runner = self._runner, None
        if runner is not None:
            runner.loop.call_soon_threadsafe(runner.loop.stop)
            runner.thread.join(STOP_S)

    def after_fork(self) -> None:
        """Forget the parent's loop, in the child; keep it referenced, so that nothing of it is closed."""
        self._parents.append(self._runner)
        self._lock = threading.Lock()
        self._runner = None

    def _started(self) -> _Runner:
        with self._lock:
            if self._runner is None:
                runner = _Runner()
                runner.thread.start()
                self._runner = runner
            return self._runner


PORTAL: Final = Portal()
os.register_at_fork(after_in_child=PORTAL.after_fork)
atexit.register(PORTAL.stop)
