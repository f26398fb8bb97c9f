"""From start to stop: event loop, signals, systemd."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from hsm_daemon import exit_codes, logs
from hsm_daemon.errors import StartError

EventLoop = Literal["uvloop", "asyncio"]
MAX_STATUS_CHARACTERS = 500  # of the line that `systemctl status` shows

_log = logs.logger("daemon.lifecycle")


class Lifecycle:
    """What a daemon's main coroutine is told by the system, and what it tells it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()  # set by the first SIGTERM or SIGINT: finish what is in flight, then return
        self.forced = False  # by the second: main is cancelled
        self._reload: Callable[[], None] | None = None
        self._main: asyncio.Task[Any] | None = None

    def on_reload(self, callback: Callable[[], None]) -> None:
        """Call `callback` at each SIGHUP. Its exception is logged and what runs goes on."""
        self._reload = callback

    def ready(self, status_text: str) -> None:
        """Tell systemd that the daemon serves."""
        notify(f"READY=1\nSTATUS={_one_line(status_text)}")

    def status(self, status_text: str) -> None:
        """Change the line that `systemctl status` shows."""
        notify(f"STATUS={_one_line(status_text)}")

    def attach(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[Any]) -> None:
        """Take over this process's signals for `main`."""
        self._main = main
        loop.add_signal_handler(signal.SIGTERM, self._stop, "SIGTERM")
        loop.add_signal_handler(signal.SIGINT, self._stop, "SIGINT")
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the signals back."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)

    def _stop(self, name: str) -> None:
        if not self.stopping.is_set():
            logs.event(_log, "info", "stopping", signal=name)
            notify("STOPPING=1")
            self.stopping.set()
        elif self._main is not None:
            logs.event(_log, "warning", "stopping at once", signal=name)
            self.forced = True
            self._main.cancel()

    def _hang_up(self) -> None:
        if self._reload is None:
            logs.event(_log, "warning", "nothing to reload")
            return
        try:
            self._reload()
        except Exception:  # noqa: BLE001 - whatever is wrong with a new configuration, the old one serves on
            _log.exception("reload failed")


def run(main: Callable[[Lifecycle], Coroutine[Any, Any, None]], event_loop: EventLoop | None = None) -> int:
    """Run a daemon to its end; return its exit code. StartError passes through to the cli."""
    with asyncio.Runner(loop_factory=loop_factory(chosen_event_loop(event_loop))) as runner:
        return runner.run(_run(main))


async def _run(main: Callable[[Lifecycle], Coroutine[Any, Any, None]]) -> int:
    loop = asyncio.get_running_loop()
    lifecycle = Lifecycle()
    task = loop.create_task(main(lifecycle), name="main")
    lifecycle.attach(loop, task)
    try:
        await task
    except asyncio.CancelledError:
        if not lifecycle.forced:
            raise
        return exit_codes.FAILED
    finally:
        lifecycle.detach(loop)
    return exit_codes.OK


def chosen_event_loop(configured: EventLoop | None = None) -> EventLoop:
    """Return the event loop's kind: HSM_EVENT_LOOP over the configuration over uvloop where it is installed."""
    wanted = os.environ.get("HSM_EVENT_LOOP") or configured
    if wanted == "asyncio":
        return "asyncio"
    if wanted not in (None, "uvloop"):
        raise StartError(f"event loop {wanted!r} is unknown; use uvloop or asyncio (HSM_EVENT_LOOP or event_loop)")
    try:
        import uvloop  # noqa: F401 - only to see whether it is installed
    except ImportError:
        if wanted == "uvloop":
            raise StartError("uvloop is not installed; install it or choose the event loop asyncio") from None
        return "asyncio"
    return "uvloop"


def loop_factory(kind: EventLoop) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what makes an event loop of that kind."""
    if kind == "asyncio":
        return asyncio.SelectorEventLoop
    import uvloop

    return uvloop.new_event_loop


def notify(message: str) -> None:
    """Send `message` to systemd (sd_notify); without NOTIFY_SOCKET there is nobody to tell."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    # The service manager's absence is its own fault; the daemon serves all the same.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.sendto(message.encode(), address)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_STATUS_CHARACTERS]
