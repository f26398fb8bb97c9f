"""Start, signals, stop, and what systemd is told.

The first SIGTERM or SIGINT asks the daemon to drain; a second one ends it at once (exit 1). SIGHUP reloads.
"""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from hsm_daemon import exit_codes, logs

_log = logs.logger("lifecycle")


class Lifecycle:
    """What a daemon's main coroutine is given."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()
        """Set when the daemon should drain and return."""
        self._reload: Callable[[], None] | None = None
        self._main: asyncio.Task[None] | None = None
        self.forced = False

    def on_reload(self, callback: Callable[[], None]) -> None:
        """Call that on SIGHUP."""
        self._reload = callback

    def ready(self, status: str) -> None:
        """Tell systemd that the daemon serves."""
        notify(f"READY=1\nSTATUS={status}")

    def attach(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[None]) -> None:
        """Take the signals of this process."""
        self._main = main
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def _stop(self) -> None:
        if self.stopping.is_set() and self._main is not None:
            self.forced = True
            self._main.cancel()
            return
        _log.info("stopping: no new requests, what is in flight is finished")
        notify("STOPPING=1")
        self.stopping.set()

    def _hang_up(self) -> None:
        if self._reload is None:
            _log.warning("SIGHUP ignored: this daemon has nothing to reload")
        else:
            self._reload()


def notify(state: str) -> None:
    """Send a state to systemd (sd_notify(3)); without NOTIFY_SOCKET nothing happens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        try:
            sock.sendto(state.encode(), address)
        except OSError:
            _log.warning("systemd's notify socket cannot be reached")


def loop_factory(choice: str | None) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes the event loop: `uvloop`, `asyncio`, or by default uvloop where it can be imported."""
    choice = os.environ.get("HSM_EVENT_LOOP") or choice
    if choice == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def run(main: Callable[[Lifecycle], Coroutine[Any, Any, None]], event_loop: str | None = None) -> int:
    """Run a daemon until it has stopped; return its exit code. Errors of the start go to the caller."""

    async def supervise() -> int:
        lifecycle = Lifecycle()
        task = asyncio.get_running_loop().create_task(main(lifecycle), name="main")
        lifecycle.attach(asyncio.get_running_loop(), task)
        try:
            await task
        except asyncio.CancelledError:
            if not lifecycle.forced:
                raise
            return exit_codes.FAILED
        return exit_codes.OK

    with asyncio.Runner(loop_factory=loop_factory(event_loop)) as runner:
        return runner.run(supervise())
