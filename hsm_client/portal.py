"""One background event loop a process, on which all blocking clients run.

A thread does not survive fork(): the child starts a loop of its own at its first call.
"""

import asyncio
import atexit
import concurrent.futures
import importlib
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

STOP_S: Final = 2.0
"""Longest wait for the loop's thread at the end of the process."""
_T = TypeVar("_T")


def _new_loop() -> asyncio.AbstractEventLoop:
    if os.environ.get("HSM_EVENT_LOOP") != "asyncio":
        try:
            loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
        except ImportError:
            return asyncio.new_event_loop()
        return loop
    return asyncio.new_event_loop()


class Portal:
    """Runs coroutines for threads that have no event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._parents: list[object] = []

    def run(self, make: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Run a coroutine to its end; a KeyboardInterrupt here cancels it there."""
        loop = self._started()
        if threading.current_thread() is self._thread:
            raise RuntimeError("the blocking client cannot be used on its own event loop; use hsm_client.connect")
        future: concurrent.futures.Future[_T] = asyncio.run_coroutine_threadsafe(make(), loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """End the loop; the next call starts another one."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_S)

    def after_fork(self) -> None:
        """Forget the parent's loop, in the child; keep it referenced, so that nothing of it is closed."""
        self._parents.append(self._loop)
        self._lock = threading.Lock()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = _new_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="hsm-client", daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    finally:
        loop.close()


PORTAL: Final = Portal()
os.register_at_fork(after_in_child=PORTAL.after_fork)
atexit.register(PORTAL.stop)
