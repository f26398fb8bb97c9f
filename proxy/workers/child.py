"""A worker as a process of the parent: started anew from the program, watched, ended.

It inherits one end of a channel and the listening socket, named in HSM_WORKER. What systemd said to the parent is not
for it: it neither notifies nor feeds the watchdog.
"""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from hsm_daemon.errors import StartError
from hsm_daemon.reaping import when_ended
from hsm_daemon.tasks import spawn
from proxy.workers.channel import Channel, open_channel, pair
from proxy.workers.messages import Begin, FromWorker, Message

VARIABLE: Final = "HSM_WORKER"
"""Of a worker: "channel=7,client=8", numbers of open files."""
KILL_AFTER_S: Final = 2.0
"""Between SIGABRT, at which it writes down where it stood, and SIGKILL."""
MAX_EARLY: Final = 64
"""Messages that wait for the channel."""
_FORM: Final = re.compile(r"channel=([0-9]{1,7}),client=([0-9]{1,7})")
_NOT_FOR_IT: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class Child:
    """One process."""

    def __init__(self, take: Callable[[Any], None], ended: Callable[[int], None]) -> None:
        """Prepare.

        Args:
            take: called with each message.
            ended: called once with the exit code.
        """
        self._take = take
        self._told_of_end = ended
        self._channel: Channel[Any] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._kill: asyncio.TimerHandle | None = None
        self._early: list[Message] = []
        """What it is to be told once its channel is open, in the next turn of the loop."""

    @property
    def pid(self) -> int:
        """Its number with the system."""
        return self._process.pid if self._process is not None else 0

    def start(self, begin: Begin, listener: socket.socket) -> None:
        """Start it, and tell it what to do.

        Raises:
            StartError: there is no process.
        """
        ours, theirs = pair()
        with theirs:
            self._process = _started(theirs, listener, ours)
        when_ended(self._process, "worker", self._ended)
        self._early.append(begin)
        spawn(self._open(ours), "channel to a worker")

    def send(self, message: Message) -> bool:
        """Tell it something; False where it cannot be told."""
        if self._channel is not None:
            return self._channel.send(message)
        if len(self._early) >= MAX_EARLY:
            return False
        self._early.append(message)
        return True

    def end(self) -> None:
        """Have it write down where it stands, and end it."""
        if self._kill is None and self._process is not None:
            self._signal(signal.SIGABRT)
            self._kill = asyncio.get_running_loop().call_later(KILL_AFTER_S, self._signal, signal.SIGKILL)

    def kill(self) -> None:
        """End it at once."""
        self._signal(signal.SIGKILL)

    async def _open(self, ours: socket.socket) -> None:
        self._channel = await open_channel(ours, FromWorker, self._take, lambda: None)
        for message in self._early:
            self._channel.send(message)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # nothing, where its end is known already

    def _ended(self, code: int) -> None:
        if self._kill is not None:
            self._kill.cancel()
        if self._channel is not None:
            self._channel.close()
        self._told_of_end(code)


def _started(channel: socket.socket, listener: socket.socket, ours: socket.socket) -> "subprocess.Popen[bytes]":
    numbers = (channel.fileno(), listener.fileno())
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_IT}
    environment[VARIABLE] = f"channel={numbers[0]},client={numbers[1]}"
    try:
        # It blocks until the program is executed: a few milliseconds.
        return subprocess.Popen(sys.orig_argv, env=environment, pass_fds=numbers)
    except OSError as error:
        ours.close()
        reason = f"{sys.orig_argv[0]} cannot be started: {error.strerror}"
        raise StartError(f"no worker: {reason}; correct the installation") from None


def adopted() -> tuple[socket.socket, socket.socket] | None:
    """Return the channel and the listening socket that this process was started with; None: it is no worker.

    Raises:
        StartError: what the environment names is not there.
    """
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    form = _FORM.fullmatch(text)
    try:
        if form is None:
            raise OSError
        channel, listener = (socket.socket(fileno=int(number)) for number in form.groups())
    except OSError:
        raise StartError(f"{VARIABLE} names no sockets; unset it: a proxy sets it for its workers only") from None
    for sock in (channel, listener):
        sock.set_inheritable(False)
    return channel, listener
