"""What a daemon tells its service manager: sd_notify(3), and the watchdog of sd_watchdog_enabled(3).

Theory. The watchdog is fed by a timer of the event loop and by nothing else, so a loop that stands still is restarted,
however alive the process's threads are. It begins when the daemon is ready: while it starts, the manager has another
limit. WATCHDOG_PID says whom the limit is for; the successor in a hot restart gets none and takes it over with the
rest, and its predecessor, which drains, must not feed it any more: that would hide that the successor stands still.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from typing import Final

from hsm_daemon import clock

BEATS_A_LIMIT: Final = 2
"""As sd_watchdog_enabled(3) recommends: one beat may be late."""
STATUS_EVERY_S: Final = 2.0
"""How late the line of `systemctl status` may be; where the watchdog's beats come more often, then they bring it."""
MAX_STATUS_CHARACTERS: Final = 500
"""Of the line that `systemctl status` shows."""


def notify(message: str) -> None:
    """Send `message` to systemd (sd_notify); without NOTIFY_SOCKET there is nobody to tell."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    # The service manager's absence is its own fault; the daemon serves all the same.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.sendto(message.encode(), address)


def watchdog_limit_s() -> float | None:
    """Return after how many seconds of silence the manager restarts this process; None: it does not."""
    limit, meant = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID")
    if meant not in (None, str(os.getpid())) or not re.fullmatch("[1-9][0-9]{0,14}", limit):
        return None
    return int(limit) / 1e6


class ServiceManager:
    """Tells the manager how the daemon is, from the first READY on, until it is another process that speaks."""

    def __init__(self) -> None:
        self.mute = False
        """A successor is the service now; what this process tells would be taken for its words."""
        self._status: Callable[[], str] | None = None
        self._fault = ""
        self._told = ""
        self._timer: asyncio.TimerHandle | None = None

    def ready(self, status: Callable[[], str]) -> None:
        """Say that the daemon serves, and from now on `status`, whenever it has changed."""
        self._status = status
        self._send("READY=1")
        self.silence()
        if os.environ.get("NOTIFY_SOCKET") and not self.mute:
            self._beat(asyncio.get_running_loop(), watchdog_limit_s())

    @contextlib.contextmanager
    def reloading(self) -> Iterator[Callable[[str], None]]:
        """Say that the daemon reloads, and at the end that it serves; the reason that is told why not is shown."""
        if self._status is None:
            yield lambda _reason: None  # it has not said READY yet, and must not by this
            return
        self._fault = ""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1e6)}")
        try:
            yield self._failed
        finally:
            self._send("READY=1")

    @contextlib.contextmanager
    def patient(self, limit_s: float) -> Iterator[None]:
        """Have the watchdog wait so long: the event loop is going to stand still within, and that is in order."""
        usual_s = watchdog_limit_s()
        if usual_s is None or self.mute:
            yield
            return
        notify(f"WATCHDOG_USEC={int(limit_s * 1e6)}\nWATCHDOG=1")
        try:
            yield
        finally:
            notify(f"WATCHDOG_USEC={int(usual_s * 1e6)}\nWATCHDOG=1")

    def stopping(self) -> None:
        """Say that the daemon stops; the watchdog is fed on, for what it finishes is in order too."""
        if not self.mute:
            self._status = None  # a reload has nothing to say any more
            notify("STOPPING=1")

    def succeeded_by(self, pid: int) -> None:
        """Say who is the service now, and nothing afterwards."""
        notify(f"MAINPID={pid}")
        self.mute = True
        self.silence()

    def silence(self) -> None:
        """Feed the watchdog no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop, limit_s: float | None) -> None:
        every_s = STATUS_EVERY_S if limit_s is None else min(STATUS_EVERY_S, limit_s / BEATS_A_LIMIT)
        # First: a line that cannot be made must not end the beats.
        self._timer = loop.call_later(every_s, self._beat, loop, limit_s)
        status = self._changed_status()
        words = ([] if limit_s is None else ["WATCHDOG=1"]) + ([f"STATUS={status}"] if status else [])
        if words:
            notify("\n".join(words))

    def _send(self, words: str) -> None:
        if not self.mute:
            status = self._changed_status()
            notify(f"{words}\nSTATUS={status}" if status else words)

    def _changed_status(self) -> str:
        """Return the line, empty where the manager has it already."""
        line = _one_line(self._status() + self._fault) if self._status is not None else ""
        if line == self._told:
            return ""
        self._told = line
        return line

    def _failed(self, reason: str) -> None:
        self._fault = f"; the last reload failed, everything stayed as it was: {reason}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:MAX_STATUS_CHARACTERS]
