"""Log lines that peers can cause at will, at a bounded rate."""

import logging

from hsm_daemon import clock, logs
from hsm_daemon.pace import TokenBucket


class LimitedLog:
    """At most `per_s` lines a second; the next line says in `left_out` how many did not appear."""

    def __init__(self, log: logging.Logger, per_s: int) -> None:
        self._log = log
        self._lines = TokenBucket(per_s, per_s)
        self._left_out = 0

    def event(self, level: str, text: str, **fields: object) -> None:
        """Log one line, or count it."""
        if not self._lines.take(clock.monotonic()):
            self._left_out += 1
            return
        if self._left_out:
            fields["left_out"] = self._left_out
            self._left_out = 0
        logs.event(self._log, level, text, **fields)
