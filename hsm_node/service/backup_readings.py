"""Files that somebody reads to this node, part by part: each has a number, and is given up when nobody goes on."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Generic, NamedTuple, TypeVar

from hsm_daemon import clock
from hsm_node.core.backups import BackupReading
from hsm_node.core.envelopes import format_of
from hsm_node.core.refusal import Refusal
from hsm_node.core.restoring import Restoring
from hsm_node.service.record_rows import RecordRows
from hsm_wire import backup_messages as forms
from hsm_wire.backup_files import BackupRow
from hsm_wire.messages import encode_body
from hsm_wire.statuses import Status

MAX_READINGS: Final = 4
"""At once: people, each with one command."""
IDLE_S: Final = 60.0
"""Without a part, a reading is given up."""


class Kind(NamedTuple):
    """One kind of rows that a backup has."""

    rows: RecordRows[Any]
    restoring: Restoring[Any]


class Kinds:
    """The kinds of rows that a backup has."""

    def __init__(self, *kinds: Kind) -> None:
        self.by_format: Mapping[int, Kind] = {number: kind for kind in kinds for number in kind.rows.formats}
        self.rows: Mapping[int, RecordRows[Any]] = {number: kind.rows for number, kind in self.by_format.items()}

    def of(self, row: BackupRow) -> Kind | None:
        """Return the kind that a row claims to be."""
        return self.by_format.get(format_of(row.data))


class Counts:
    """What came of records, in one run over a file."""

    def __init__(self) -> None:
        self.by_outcome: Counter[str] = Counter()
        self.items: list[forms.BackupItem] = []
        """Of the part that was read last."""

    def note(self, outcome: str, record_id: bytes, partition: int, detail: str) -> None:
        """Count a record, and name it where there is more to be said."""
        self.by_outcome[outcome] += 1
        if detail:
            self.items.append(forms.BackupItem(record_id, partition, outcome, detail))

    def answer(self, number: int, *, whole: bool, unknown: list[str]) -> bytes:
        """Return the answer to a part."""
        counts = [forms.BackupCount(outcome, count) for outcome, count in sorted(self.by_outcome.items())]
        return encode_body(forms.BackupReading(number, whole, counts, self.items, unknown))


class Opened:
    """A file that is being read. Its parts come one after the other."""

    def __init__(self, reading: BackupReading) -> None:
        self.reading = reading
        self.counts = Counts()
        self.used_s = clock.monotonic()
        self.busy = False


F = TypeVar("F", bound=Opened)


class Readings(Generic[F]):
    """Those of one purpose. On the loop."""

    def __init__(self) -> None:
        self._opened: dict[int, F] = {}
        self._last = 0

    def begin(self, opened: F) -> int:
        """Give a file its number."""
        if len(self._opened) >= MAX_READINGS:
            raise Refusal(Status.OVERLOADED, f"{MAX_READINGS} backups are being read here; try again later")
        self._last += 1
        self._opened[self._last] = opened
        return self._last

    @contextmanager
    def next(self, number: int) -> Iterator[F]:
        """Yield a file for its next part, which nobody else may bring meanwhile."""
        opened = self._opened.get(number)
        if opened is None or opened.busy:
            raise Refusal(Status.BAD_REQUEST, "this backup is not being read here, or was given up; begin anew")
        opened.busy = True
        opened.counts.items = []
        try:
            yield opened
        finally:
            opened.busy, opened.used_s = False, clock.monotonic()

    def end(self, number: int) -> None:
        """Forget a file."""
        self._opened.pop(number, None)

    def sweep(self) -> None:
        """Give up what nobody reads any more."""
        now = clock.monotonic()
        for number, opened in list(self._opened.items()):
            if not opened.busy and now - opened.used_s > IDLE_S:
                self.end(number)
