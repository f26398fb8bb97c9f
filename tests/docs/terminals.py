"""Types a page's commands into terminals, as a reader would, and compares what is printed with what the page shows.

Blocks of `sh` go to one shell, one after the other, so that what they export holds for the next. One below the comment
`first terminal` gets a shell of its own and stays; `Ctrl-C in the first terminal` ends it. A block of `text` is all
that the block above it prints, errors too; there `…` is anything on a line, and alone on a line any number of lines.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import textwrap
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from programs import bound_to_parent, wait_until

BLOCK_LIMIT_S = 300.0
"""`make setup` may have to fetch packages."""
START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
ANYTHING = "…"
ONLY_READ = ("toml", "{toctree}")
"""Blocks that a page may have beside those that are typed."""
BASH = shutil.which("bash") or "bash"

_PIECES = re.compile(
    r"^<!-- (?P<mark>first terminal|Ctrl-C in the first terminal) -->\n"
    r"|^(?P<indent> *)```(?P<language>[\w{}]+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


class Step(NamedTuple):
    """One thing that the reader does."""

    what: str
    """`type`, `leave running` or `interrupt`."""
    text: str
    shown: str | None
    """What the page says is printed; None: nothing is said."""


def steps_of(page: str) -> list[Step]:
    """Return what a reader of the page does, in order."""
    found: list[Step] = []
    first = False
    for piece in _PIECES.finditer(page):
        text = textwrap.dedent(piece["text"] or "")
        match piece["mark"], piece["language"]:
            case "first terminal", _:
                first = True
            case str(), _:
                found.append(Step("interrupt", "", None))
            case _, "sh":
                found.append(Step("leave running" if first else "type", text, None))
                first = False
            case _, "text":
                assert found, "the page shows what is printed before anything is typed"
                assert found[-1].shown is None, f"two outputs of one block: {text}"
                found[-1] = found[-1]._replace(shown=text)
            case _, language:
                assert language in ONLY_READ, f"nobody types a block of {language!r}"
    return found


def pattern_of(shown: str) -> re.Pattern[str]:
    """Return what the page shows as a pattern for what is printed."""

    def parts() -> Iterator[str]:
        for line in shown.splitlines():
            if line == ANYTHING:
                yield r"(?:.*\n)*?"
            else:
                yield ".*".join(re.escape(text) for text in line.split(ANYTHING)) + r"\n"

    return re.compile("".join(parts()))


class Terminals:
    """A reader's terminals, in one folder."""

    def __init__(self, folder: Path, notes: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._notes = notes
        self._environment = dict(environment)
        self._first: subprocess.Popen[bytes] | None = None
        self._shell = self._start([BASH, "--noprofile", "--norc", "-e"], "shell")

    def follow(self, page: str) -> None:
        """Do all that the page says."""
        for step in steps_of(page):
            match step.what:
                case "type":
                    printed = self._type(step.text)
                    if step.shown is not None:
                        assert pattern_of(step.shown).fullmatch(printed), f"{step.text}printed\n{printed}"
                case "leave running":
                    self._leave_running(step)
                case _:
                    self._interrupt()

    def close(self) -> None:
        """End what runs."""
        if self._first is not None:
            self._interrupt()
        self._shell.kill()
        self._shell.wait()
        assert self._shell.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._shell.stdin.close()

    def _start(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with self._printed_by(name).open("wb") as log:
            return subprocess.Popen(
                bound_to_parent(command, signal.SIGINT),
                stdin=subprocess.PIPE if name == "shell" else subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=self._environment,
                process_group=0,
            )

    def _printed_by(self, name: str) -> Path:
        return self._notes / f"{name}.out"

    def _type(self, block: str) -> str:
        mark = f"done {uuid.uuid4()}\n"
        typed, printed = self._notes / "typed", self._printed_by("shell")
        typed.write_text(block, encoding="utf-8")
        before = printed.stat().st_size
        assert self._shell.stdin is not None
        self._shell.stdin.write(f". '{typed}' </dev/null\necho {mark}".encode())
        self._shell.stdin.flush()

        def said() -> str:
            return printed.read_bytes()[before:].decode()

        def over() -> bool:
            assert self._shell.poll() is None, f"this failed:\n{block}\nand printed\n{said()}"
            return said().endswith(mark)

        wait_until(over, lambda: f"{block}\nends; it printed\n{said()}", BLOCK_LIMIT_S)
        return said().removesuffix(mark)

    def _leave_running(self, step: Step) -> None:
        assert self._first is None, "the first terminal is in use"
        first = self._first = self._start([BASH, "-c", step.text], "first")
        wanted = pattern_of(step.shown or "")
        printed = self._printed_by("first")

        def shown() -> bool:
            assert first.poll() is None, f"it ended:\n{printed.read_text()}"
            return wanted.fullmatch(printed.read_text()) is not None

        wait_until(shown, lambda: f"{step.text} is ready; it printed\n{printed.read_text()}", START_LIMIT_S)

    def _interrupt(self) -> None:
        first, self._first = self._first, None
        assert first is not None, "nothing runs in the first terminal"
        os.killpg(first.pid, signal.SIGINT)
        try:
            code = first.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(first.pid, signal.SIGKILL)
            raise
        assert code in (0, 130, -signal.SIGINT), f"Ctrl-C ended it with {code}"
