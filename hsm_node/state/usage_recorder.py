"""Writes what partitions have used to its file, beside the event loop and at most once a second: what a node that is
killed has counted since is what it forgets, unless a proxy has heard of it."""

from pathlib import Path
from typing import Final, Protocol

from hsm_cluster.usage import PERIODS, Usage
from hsm_daemon import logs
from hsm_node.state.background_write import BackgroundWrite
from hsm_node.state.usage_file import UsageFile, UsageFileError

FLUSH_INTERVAL_S: Final = 1.0
"""One synchronous write a second is what any disk does beside its work."""
EVERYTHING: Final = 1 << 62
"""More rows than there are."""

_log = logs.logger("hsm_node.state")


class Counts(Protocol):
    """Who counts."""

    @property
    def usage(self) -> Usage:
        """What is known."""

    def fold(self) -> None:
        """Put what was counted lately into it."""


class UsageRecorder:
    """Owns the file's thread. `sweep` on the loop."""

    def __init__(self, file: UsageFile, counts: Counts) -> None:
        self.failures = 0
        """Times that it could not be written."""
        self._file = file
        self._counts = counts
        self._written = self._before = counts.usage.number
        self._write = BackgroundWrite("usage")
        self._next_s = 0.0
        self._failing = False

    def sweep(self, now_s: float) -> None:
        """Begin to write if it is time; look at how the last one ended."""
        if self._write.busy:
            return
        self._end()
        if now_s >= self._next_s:
            self._next_s = now_s + FLUSH_INTERVAL_S
            self._begin()

    def close(self) -> None:
        """Write the rest; waits for the disk."""
        self._end()
        self._begin()
        self._end()
        self._write.close()
        self._file.close()

    def _begin(self) -> None:
        self._counts.fold()
        usage = self._counts.usage
        news = usage.news(self._written, EVERYTHING)
        if news.rows:
            self._before, self._written = self._written, news.newest
            self._write.begin(self._file.write, news.rows, usage.period - PERIODS)

    def _end(self) -> None:
        """Wait for the thread, and take up what it says."""
        if not self._write.begun:
            return
        try:
            self._write.end()
        except UsageFileError as error:
            self.failures += 1
            self._written = self._before
            if not self._failing:
                logs.event(_log, "error", "what partitions have used cannot be written", reason=str(error))
            self._failing = True
        else:
            if self._failing:
                logs.event(_log, "info", "what partitions have used is written again")
            self._failing = False


def open_usage(folder: Path, counts: Counts) -> UsageRecorder:
    """Return the recorder of a state directory; what is kept there has been counted in."""
    file = UsageFile(folder)
    try:
        counts.usage.merge(file.load())
    except UsageFileError as error:
        what = "proxies and other nodes know of it; what nobody else has heard is not counted"
        logs.event(_log, "warning", "what partitions had used cannot be read", reason=str(error), what=what)
    return UsageRecorder(file, counts)
