"""Starts and ends the process of the module, and says the first words to it."""

import contextlib
import socket
import subprocess
import sys
from typing import Final

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import Channel, ChannelError

BEGIN_LIMIT_S: Final = 30.0
"""To load a module and look at its token: network HSMs connect meanwhile, some with retries of ten seconds."""
END_LIMIT_S: Final = 1.0
"""From closing its line to SIGKILL: there is nothing that it would have to finish."""

_encode = messages.encoder.encode


class DeviceProcess:
    """A process, its control line, and the lines that its sessions serve."""

    def __init__(self, lines: int) -> None:
        """Start it; it waits for what it is told.

        Args:
            lines: how many sessions are wanted.
        """
        pairs = [socket.socketpair() for _ in range(lines + 1)]
        theirs = [pair[1] for pair in pairs]
        numbers = [end.fileno() for end in theirs]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hsm_node.backends.pkcs11.worker", *map(str, numbers)],
                pass_fds=numbers,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the node, which ends it.
            )
        finally:
            for end in theirs:
                end.close()
        control, *self._lines = (Channel(pair[0]) for pair in pairs)
        self._control = control

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def look(self, question: messages.Look) -> messages.Answer:
        """Have it load the module and look at the token.

        Raises:
            ChannelError: it ended, or hangs.
        """
        return self._ask(question)

    def begin(self, question: messages.Begin) -> messages.Answer:
        """Have it log in and open its sessions.

        Raises:
            ChannelError: it ended, or hangs.
        """
        return self._ask(question)

    def lines(self, sessions: int) -> list[Channel]:
        """Return the lines that are served; the others are closed."""
        for surplus in self._lines[sessions:]:
            surplus.close()
        del self._lines[sessions:]
        return list(self._lines)

    def end(self) -> int:
        """End it, hanging or not; return its exit status (negative: the signal)."""
        self._control.close()
        for line in self._lines:
            line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(END_LIMIT_S)
        self._process.kill()
        return self._process.wait()

    def kill(self) -> None:
        """End it at once: a call in it hangs. Whoever waits for an answer hears of it by the end of his line."""
        self._process.kill()

    def _ask(self, question: messages.Question) -> messages.Answer:
        self._control.limit(BEGIN_LIMIT_S)
        self._control.send(_encode(question))
        answer = self._control.receive()
        if not answer:
            raise ChannelError(f"the module's process ended ({_ending(self._process.wait(END_LIMIT_S))})")
        return messages.answers.decode(answer)


def _ending(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
