"""A program on a terminal of its own: what it shows, keys, the size, and the terminal's settings."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from types import TracebackType
from typing import Any, Self

from programs import bound_to_parent

DEADLINE_S = 30.0
_STEERING = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class ProgramOnTerminal:
    """`hsmctl` with these arguments."""

    def __init__(self, arguments: list[str], columns: int, lines: int) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(columns, lines)
        self.settings_before = self.settings()
        self.output = ""
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("HSM_", "COLUMNS", "LINES"))
        }
        command = [sys.executable, "-m", "hsmctl.cli", *arguments]
        self.process = subprocess.Popen(
            bound_to_parent(command, signal.SIGKILL), stdin=self._theirs, stdout=self._theirs, stderr=self._theirs,
            env={**environment, "TERM": "xterm-256color"}, process_group=0,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    @property
    def screen(self) -> list[str]:
        """The lines of the last screen, as far as they have come."""
        last = self.output.rpartition("\x1b[H")[2]
        return [line.rstrip() for line in _STEERING.sub("", last).split("\r\n")]

    def settings(self) -> list[Any]:
        """Return the settings of the terminal."""
        return termios.tcgetattr(self._theirs)

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._ours, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size; the kernel tells only who has the terminal as theirs, so a test tells the program."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def wait_for(self, text: str) -> None:
        """Read until the last screen has that text."""
        self._read_until(lambda: text in "\n".join(self.screen), text)

    def wait_for_lines(self, number: int) -> None:
        """Read until the last screen has come whole, with that many lines."""
        self._read_until(lambda: len(self.screen) == number, f"{number} lines")

    def wait_for_output(self, text: str) -> None:
        """Read until the output has that text."""
        self._read_until(lambda: text in self.output, text)

    def wait(self) -> int:
        """Read until the program has ended; return its exit code."""
        self._read_until(lambda: self.process.poll() is not None, "its end")
        while select.select([self._ours], [], [], 0)[0]:
            self._read()
        return self.process.wait()

    def _read_until(self, reached: Any, what: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while not reached():
            assert time.monotonic() < end, f"no {what!r} in:\n" + "\n".join(self.screen)
            if select.select([self._ours], [], [], 0.05)[0]:
                self._read()

    def _read(self) -> None:
        self.output += os.read(self._ours, 65_536).decode("utf-8", "replace")
