"""Listening sockets that outlive a process: inherited from systemd, or from the process that ran before (hot restart).

Theory. On SIGUSR2 the daemon starts its program anew, with the same listening sockets open in both. The kernel's
backlog belongs to the socket, so at no moment is a connection refused. When the new process says over a pipe that it
serves, the old one tells systemd who is the service now, stops accepting, says GOAWAY, drains and ends. If the new
one does not get that far, it is ended, and the old one has never stopped. The files and the code that the new one
reads are those on disk then: this is how a new version, or a setting that needs a restart, comes into use.

Under systemd: `Type=notify`, `NotifyAccess=all` (the new process speaks before it is the main one),
`ExecReload=kill -HUP $MAINPID`, and `systemctl kill --kill-whom=main -s SIGUSR2` for the hot restart.
"""

import asyncio
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.reaping import when_ended
from hsm_daemon.tasks import spawn

VARIABLE: Final = "HSM_HANDOVER"
"""Of a hot restart: "client=7,admin=8;ready=9", numbers of open files."""
FIRST_SYSTEMD_FD: Final = 3  # sd_listen_fds(3)
MAX_LISTENERS: Final = 16
READY_LIMIT_S: Final = 30.0  # from starting the new process to its being ready
TERM_LIMIT_S: Final = 2.0  # between SIGTERM and SIGKILL for one that did not become ready
EXIT_CODE_LIMIT_S: Final = 1.0  # between the end of its pipe and its exit code
READY: Final = b"ready\n"

_NAME: Final = r"[A-Za-z0-9_.-]{1,64}"
_PAIR: Final = rf"{_NAME}=[0-9]{{1,7}}"
_OWN_FORM: Final = re.compile(rf"((?:{_PAIR}(?:,{_PAIR})*)?);ready=([0-9]{{1,7}})")
_log = logs.logger("daemon.handover")
_ready_pipe: int | None = None  # of this process, when it is a successor and has not been ready yet


class HandoverError(Exception):
    """There is no successor; str() is the one line that says why."""


# ---- in the process that inherits


def inherited() -> dict[str, socket.socket]:
    """Return the listeners that this process was started with, by name. To be called once, before any other start.

    The environment's variables are removed, and the sockets closed to programs that this one starts.

    Raises:
        StartError: what was handed over is not what the environment says.
    """
    own = os.environ.pop(VARIABLE, None)
    pid, count, names = (os.environ.pop(name, None) for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if own is not None:
        return _adopted(_ours(own))
    if pid is None or count is None or pid != str(os.getpid()):
        return {}  # meant for another process: the variables are inherited by whatever that one started
    return _adopted(_systemds(count, names))


def ready() -> None:
    """Tell the process that ran before, if there is one, that this one serves now."""
    global _ready_pipe
    if _ready_pipe is None:
        return
    pipe, _ready_pipe = _ready_pipe, None
    try:
        os.write(pipe, READY)
    except OSError as error:
        logs.event(_log, "warning", "the process that ran before does not listen", reason=error.strerror)
    finally:
        os.close(pipe)


def _ours(text: str) -> list[tuple[str, int]]:
    global _ready_pipe
    form = _OWN_FORM.fullmatch(text)
    if form is None:
        raise StartError(f"{VARIABLE} is malformed; unset it: it is for hot restarts only")
    pairs = [pair.split("=") for pair in form[1].split(",") if pair]
    pipe = int(form[2])
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            raise OSError
        os.set_inheritable(pipe, False)
    except OSError:
        raise StartError(f"{VARIABLE} names an open file that is no pipe; unset it") from None
    _ready_pipe = pipe
    return [(name, int(number)) for name, number in pairs]


def _systemds(count: str, names: str | None) -> list[tuple[str, int]]:
    if not re.fullmatch(r"[0-9]{1,3}", count) or int(count) > MAX_LISTENERS:
        raise StartError(f"LISTEN_FDS is not a number up to {MAX_LISTENERS}; correct the socket unit")
    listed = ["unknown"] * int(count) if names is None else names.split(":")
    if len(listed) != int(count):
        raise StartError("LISTEN_FDNAMES does not name as many sockets as LISTEN_FDS says; correct the socket unit")
    return [(name, FIRST_SYSTEMD_FD + index) for index, name in enumerate(listed)]


def _adopted(numbers: Sequence[tuple[str, int]]) -> dict[str, socket.socket]:
    listeners: dict[str, socket.socket] = {}
    try:
        for name, number in numbers:
            if name in listeners:
                raise StartError(f"two inherited sockets are named {name!r}; give each its own FileDescriptorName=")
            listeners[name] = _adopt(name, number)
    except StartError:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


def _adopt(name: str, number: int) -> socket.socket:
    what = f"the inherited open file {number} ({name})"
    try:
        listener = socket.socket(fileno=number)
    except OSError:
        raise StartError(f"{what} is no socket; correct the socket unit") from None
    internet = listener.family in (socket.AF_INET, socket.AF_INET6) and listener.type == socket.SOCK_STREAM
    if not internet or not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listener.detach()  # whoever's it is
        raise StartError(f"{what} is not a listening TCP socket; use ListenStream=HOST:PORT and Accept=no")
    listener.set_inheritable(False)
    listener.setblocking(False)
    return listener


# ---- in the process that hands over


async def hand_over(
    lifecycle: Lifecycle,
    listeners: Mapping[str, socket.socket],
    *,
    argv: Sequence[str] | None = None,
    limit_s: float = READY_LIMIT_S,
) -> bool:
    """Start a successor and leave to it; when there is none in the end, log why and serve on (False)."""
    try:
        pid = await Successor.start(listeners, argv=argv, limit_s=limit_s, given_up=lifecycle.stopping)
    except HandoverError as error:
        logs.event(_log, "error", "no hot restart", reason=str(error))
        return False
    logs.event(_log, "info", "the successor serves", pid=pid)
    lifecycle.leave(successor=pid)
    return True


class Successor:
    """This program, started anew; one at a time."""

    _starting: ClassVar[bool] = False

    @classmethod
    async def start(
        cls,
        listeners: Mapping[str, socket.socket],
        *,
        argv: Sequence[str] | None = None,
        limit_s: float = READY_LIMIT_S,
        given_up: asyncio.Event | None = None,
    ) -> int:
        """Start it with `listeners` and wait until it is ready; return its pid.

        Args:
            listeners: by the name under which `inherited` finds them.
            argv: the program; default: as this process was started.
            limit_s: how long it may take.
            given_up: set: it is not wanted any more.

        Raises:
            HandoverError: it did not become ready; whatever was started has been ended.
        """
        if cls._starting:
            raise HandoverError("a hot restart goes on already; wait for its end")
        cls._starting = True
        try:
            successor = cls(listeners, argv or sys.orig_argv)
            try:
                await successor._ready(limit_s, given_up)
            except BaseException:
                successor._process.kill()  # nothing is left of it that could be asked
                raise
            finally:
                successor._close()
        finally:
            cls._starting = False
        return successor._process.pid

    def __init__(self, listeners: Mapping[str, socket.socket], argv: Sequence[str]) -> None:
        loop = asyncio.get_running_loop()
        self._said: asyncio.Future[bool] = loop.create_future()  # True: ready; False: its end of the pipe is closed
        self._exited: asyncio.Future[int] = loop.create_future()
        self._served = False
        self._loop = loop
        self._pipe, writing = os.pipe()
        try:
            # It blocks until the program is executed: a few milliseconds.
            self._process = _started(listeners, argv, writing)
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(writing)
        when_ended(self._process, "successor", self._ended)
        os.set_blocking(self._pipe, False)
        loop.add_reader(self._pipe, self._readable)

    def _ended(self, code: int) -> None:
        self._exited.set_result(code)
        if self._served:
            logs.event(_log, "error" if code else "info", "the successor has ended", code=code)

    def _readable(self) -> None:
        try:
            words = os.read(self._pipe, len(READY))
        except BlockingIOError:
            return
        self._loop.remove_reader(self._pipe)
        self._said.set_result(words == READY)

    async def _ready(self, limit_s: float, given_up: asyncio.Event | None) -> None:
        """Return when it is ready; else end it and say why it is not."""
        waited: set[asyncio.Future[bool] | asyncio.Future[int]] = {self._said, self._exited}
        unwanted = spawn(given_up.wait(), "successor given up") if given_up is not None else None
        try:
            await asyncio.wait(
                waited | ({unwanted} if unwanted else set()), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            if unwanted is not None:
                unwanted.cancel()
        if given_up is not None and given_up.is_set():
            reason = "this process is stopping, so the new one was ended"
        elif self._said.done() and self._said.result():
            self._served = True
            return
        elif self._said.done() or self._exited.done():
            await asyncio.wait({self._exited}, timeout=EXIT_CODE_LIMIT_S)
            code = f" (exit code {self._exited.result()})" if self._exited.done() else ""
            reason = f"the new process ended before it was ready{code}; its own log lines say why"
        else:
            reason = f"the new process was not ready within {limit_s:g} s and was ended; its own log lines say more"
        await self._end()
        raise HandoverError(reason)

    async def _end(self) -> None:
        for end in (self._process.terminate, self._process.kill):
            if not self._exited.done():
                end()
                await asyncio.wait({self._exited}, timeout=TERM_LIMIT_S)

    def _close(self) -> None:
        self._loop.remove_reader(self._pipe)
        os.close(self._pipe)


def _started(listeners: Mapping[str, socket.socket], argv: Sequence[str], pipe: int) -> "subprocess.Popen[bytes]":
    if any(not re.fullmatch(_NAME, name) for name in listeners):
        raise ValueError("a listener's name has letters, digits, '_', '.' and '-'")
    numbers = {name: listener.fileno() for name, listener in listeners.items()}
    if -1 in numbers.values():
        raise HandoverError("a listener is closed already: this process is stopping")
    described = ",".join(f"{name}={number}" for name, number in numbers.items())
    environment = {**os.environ, VARIABLE: f"{described};ready={pipe}"}
    environment.pop("WATCHDOG_PID", None)  # it names this process; once the new one is the service, the watchdog is its
    try:
        return subprocess.Popen(list(argv), env=environment, pass_fds=[*numbers.values(), pipe])
    except OSError as error:
        raise HandoverError(f"{argv[0]} cannot be started: {error.strerror}; correct the installation") from None
