"""Log lines that peers can cause at will, or that a lasting fault repeats: at a bounded rate, each kind by itself."""

import asyncio
import logging
from typing import Final
from weakref import WeakSet

from hsm_daemon import clock, logs
from hsm_daemon.pace import TokenBucket

TELL_EVERY_S: Final = 10.0  # how long the number of lines that were left out last stays untold


class _Kind:
    """What is known of one event's lines."""

    __slots__ = ("left_out", "level", "lines")

    def __init__(self, per_s: float) -> None:
        self.lines = TokenBucket(per_s, max(1, int(per_s)))
        self.left_out = 0
        self.level = ""


class LimitedLog:
    """At most `per_s` lines a second of each event (and as many at once); the next one says in `left_out` how many did
    not appear. Events are fixed words, so there are few."""

    def __init__(self, log: logging.Logger, per_s: float) -> None:
        self._log = log
        self._per_s = per_s
        self._kinds: dict[str, _Kind] = {}
        _all.add(self)

    def event(self, level: str, text: str, **fields: object) -> None:
        """Log one line, or count it."""
        left_out = self._left_out(level, text)
        if left_out is not None:
            logs.event(self._log, level, text, **fields, **left_out)

    def exception(self, text: str, error: BaseException, **fields: object) -> None:
        """The same of what nobody thought of, with where it came from."""
        left_out = self._left_out("error", text)
        if left_out is not None:
            logs.exception(self._log, text, error, **fields, **left_out)

    def tell(self) -> None:
        """Log how many lines were left out, where none has come since to say it."""
        for text, kind in self._kinds.items():
            if kind.left_out and kind.lines.take(clock.monotonic()):
                logs.event(self._log, kind.level, text, left_out=kind.left_out)
                kind.left_out = 0

    def _left_out(self, level: str, text: str) -> dict[str, int] | None:
        """Count a line; return what it is to say of those before it, None where it is not to appear."""
        if not self._log.isEnabledFor(logs.LEVELS[level]):
            return None
        kind = self._kinds.get(text)
        if kind is None:
            kind = self._kinds[text] = _Kind(self._per_s)
        kind.level = level
        if not kind.lines.take(clock.monotonic()):
            kind.left_out += 1
            return None
        left_out, kind.left_out = kind.left_out, 0
        return {"left_out": left_out} if left_out else {}


_all: Final[WeakSet[LimitedLog]] = WeakSet()


def tell_now_and_then(loop: asyncio.AbstractEventLoop) -> None:
    """Have nothing left out untold for longer than TELL_EVERY_S, for as long as the loop runs."""

    def again() -> None:
        for log in list(_all):
            log.tell()
        loop.call_later(TELL_EVERY_S, again)

    loop.call_later(TELL_EVERY_S, again)
