"""From start to stop: event loop, signals, systemd."""

import asyncio
import faulthandler
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import Any, Literal

from hsm_daemon import exit_codes, hardening, log_limit, logs, memory
from hsm_daemon.errors import StartError
from hsm_daemon.service_manager import ServiceManager

EventLoop = Literal["uvloop", "asyncio"]

_log = logs.logger("daemon.lifecycle")


class Lifecycle:
    """What a daemon's main coroutine is told by the system, and what it tells it."""

    def __init__(self) -> None:
        self.stopping = asyncio.Event()  # set by the first SIGTERM or SIGINT: finish what is in flight, then return
        self.forced = False  # by the second: main is cancelled
        self._signalled = False
        self._manager = ServiceManager()
        self._reload: Callable[[], None] | None = None
        self._reload_errors: tuple[type[Exception], ...] = ()
        self._upgrade: Callable[[], None] | None = None
        self._main: asyncio.Task[Any] | None = None

    def on_reload(self, callback: Callable[[], None], expected: tuple[type[Exception], ...] = (StartError,)) -> None:
        """Call `callback` at each SIGHUP; whatever it raises is one line of the log, and what runs goes on.

        Args:
            callback: checks everything before it changes anything.
            expected: errors whose text is the line for the user; any other is logged with where it came from.
        """
        self._reload = callback
        self._reload_errors = expected

    def on_upgrade(self, callback: Callable[[], None]) -> None:
        """Call `callback` at each SIGUSR2 until the daemon stops: see `handover.hand_over`."""
        self._upgrade = callback

    def leave(self, successor: int | None = None) -> None:
        """Stop as if by SIGTERM; with a successor (its pid) the service goes on, and systemd is told who is it now."""
        if self.stopping.is_set():
            return
        if successor is None:
            logs.event(_log, "info", "stopping")
            self._manager.stopping()
        else:
            logs.event(_log, "info", "stopping", successor=successor)
            self._manager.succeeded_by(successor)
        self.stopping.set()

    def ready(self, status: str | Callable[[], str]) -> None:
        """Tell systemd that the daemon serves; from now on the event loop feeds the watchdog, if there is one.

        What was loaded until now stays: the garbage collector need not look at it again. With it, each full
        collection while clients come holds up everybody's requests for over ten milliseconds.

        Args:
            status: the line that `systemctl status` shows; a function is asked again every other second.
        """
        gc.collect()
        gc.freeze()
        self._manager.ready(status if callable(status) else lambda: status)

    def patient(self, limit_s: float) -> AbstractContextManager[None]:
        """Have the watchdog wait so long, within: what is done there keeps the event loop, and is in order."""
        return self._manager.patient(limit_s)

    def attach(self, loop: asyncio.AbstractEventLoop, main: asyncio.Task[Any]) -> None:
        """Take over this process's signals for `main`."""
        self._main = main
        loop.add_signal_handler(signal.SIGTERM, self._stop, "SIGTERM")
        loop.add_signal_handler(signal.SIGINT, self._stop, "SIGINT")
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        loop.add_signal_handler(signal.SIGUSR2, self._user_2)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the signals back."""
        self._manager.silence()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR2):
            loop.remove_signal_handler(number)

    def _stop(self, name: str) -> None:
        if not self._signalled:
            # After `leave` the first signal changes nothing: it is systemd's or the operator's first word.
            self._signalled = True
            if not self.stopping.is_set():
                logs.event(_log, "info", "stopping", signal=name)
                self._manager.stopping()
                self.stopping.set()
        elif self._main is not None:
            logs.event(_log, "warning", "stopping at once", signal=name)
            self.forced = True
            self._main.cancel()

    def _hang_up(self) -> None:
        if self._reload is None:
            logs.event(_log, "warning", "nothing to reload")
            return
        with self._manager.reloading() as failed:
            try:
                self._reload()
            except self._reload_errors as error:
                logs.event(_log, "error", "reload failed; everything stays as it was", reason=str(error))
                failed(str(error))
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a new configuration, the old one serves on
                _log.exception("reload failed")
                failed(type(error).__name__)

    def _user_2(self) -> None:
        if self._upgrade is None or self.stopping.is_set():
            reason = "this program cannot be upgraded while it runs" if self._upgrade is None else "it is stopping"
            logs.event(_log, "warning", "no upgrade", reason=reason)
            return
        try:
            self._upgrade()
        except Exception:  # noqa: BLE001 - an upgrade that cannot begin must not end what runs
            _log.exception("upgrade failed")


def run(main: Callable[[Lifecycle], Coroutine[Any, Any, None]], event_loop: EventLoop | None = None) -> int:
    """Run a daemon to its end; return its exit code. StartError passes through to the cli.

    Where it crashes, or the watchdog ends it (SIGABRT), the log says where each thread was: places, no values.
    """
    faulthandler.enable()
    with asyncio.Runner(loop_factory=loop_factory(chosen_event_loop(event_loop))) as runner:
        return runner.run(_run(main))


async def _run(main: Callable[[Lifecycle], Coroutine[Any, Any, None]]) -> int:
    loop = asyncio.get_running_loop()
    lifecycle = Lifecycle()
    task = loop.create_task(main(lifecycle), name="main")
    lifecycle.attach(loop, task)
    hardening.log_no_values(loop)
    memory.trim_now_and_then(loop)
    log_limit.tell_now_and_then(loop)
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
