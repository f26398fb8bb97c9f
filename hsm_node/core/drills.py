"""What a drill of the DR site found, which keys the next one uses, and when it is due.

Theory. A DR site is idle until the day on which everything depends on it, so what is wrong with it shows on that day
unless somebody looks before. A drill does what a promotion would rely on: all records are read from the site's own
copy and authenticated, keys are unwrapped from those records and used, the copy's distance from the rest is measured.
What holds is remembered beyond the process, for it is the age of the last good drill that says how much is known.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec

from hsm_node.core.recovery_settings import RecoverySettings
from hsm_node.core.tombstones import Place

FIRST_DRILL_S: Final = 30.0
"""From the start of a node that has no drill to look back on to its first one: whoever starts it waits for the result,
and proxies have found it by then."""
MAX_FAULTS: Final = 8
"""That a result names; how many there were is counted apart."""
MAX_TEXT_CHARACTERS: Final = 256
"""Of a fault: what an answer holds of each."""


class FaultReason(StrEnum):
    """What kind of fault a drill found: the label of the metric."""

    KNOWN_ANSWERS = "known_answers"
    MASTER_KEY = "master_key"
    RECORDS = "records"
    KEYS = "keys"
    LAG = "lag"
    STORE = "store"
    INSIDE = "inside"


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that would fail on the day of a disaster."""

    reason: FaultReason
    text: str


class DrillResult(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one drill found."""

    at: float
    """When it began, seconds since 1970."""
    seconds: float
    """How long it took."""
    whole: bool
    """Whether every key was used."""
    commanded: bool
    """Whether an operator asked for it."""
    keys: int = 0
    """That were used."""
    failed: int = 0
    """Of these, keys that do not work."""
    records: int = 0
    """Of the copy, all of them read."""
    refused: int = 0
    """Of these, records that must not be used, and records that should be there and are not."""
    lag_records: int | None = None
    """Changes that the copy lacked; None: nobody knows."""
    lag_seconds: float | None = None
    """How long it took to get what was there when it was asked; None: nobody knows."""
    rto_seconds: float | None = None
    """From the begin until everything that the keys are for was done with them once; None: it was not."""
    kinds: tuple[str, ...] = ()
    """What was done with keys."""
    faults: tuple[Fault, ...] = ()
    """The first of what was found, of every reason one at least."""

    @property
    def good(self) -> bool:
        """Whether a promotion would have what it needs."""
        return not self.faults


class DrillRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is remembered of drills."""

    last: DrillResult | None = None
    last_good_at: float = 0.0
    """Begin of the last good drill, seconds since 1970; 0: there was none."""
    last_whole_at: float = 0.0
    """The same of the last good one that used every key."""

    def after(self, result: DrillResult) -> "DrillRecord":
        """Return what is remembered after one more."""
        good_at = result.at if result.good else self.last_good_at
        whole_at = result.at if result.good and result.whole else self.last_whole_at
        return DrillRecord(result, good_at, whole_at)


class Faults:
    """Collects what a drill finds. Kept are the first ones, and the first of each reason."""

    def __init__(self) -> None:
        self._kept: list[Fault] = []

    def add(self, reason: FaultReason, text: str) -> None:
        """Note a fault."""
        if len(self._kept) < MAX_FAULTS or all(fault.reason is not reason for fault in self._kept):
            self._kept.append(Fault(reason, text[:MAX_TEXT_CHARACTERS]))

    @property
    def found(self) -> tuple[Fault, ...]:
        """The faults that are kept."""
        return tuple(self._kept)


def due_at(record: DrillRecord, settings: RecoverySettings, started: float, now: float) -> float:
    """Return when the next drill is due, seconds since 1970.

    Args:
        record: what is remembered.
        settings: how often drills are.
        started: when the node did. One that was due before comes soon, not at once.
        now: by the same clock; a last drill that is still to come tells nothing.
    """
    first = started + min(FIRST_DRILL_S, settings.drill_seconds)
    if record.last is None or record.last.at > now:
        return first
    due = record.last.at + settings.drill_seconds
    return max(due, first) if record.last.at < started else due


def is_whole_due(record: DrillRecord, settings: RecoverySettings, now: float) -> bool:
    """Whether the next drill uses every key: the last good one that did is too long ago."""
    return not 0 <= now - record.last_whole_at < settings.all_keys_seconds


def drawn(
    keys: Iterable[tuple[str, Place]], size: int, shuffle: Callable[[list[tuple[str, Place]]], None]
) -> set[Place]:
    """Return that many keys, drawn by chance, and more where there are more types: one of each at least.

    Args:
        keys: type and place of every key.
        size: of the sample.
        shuffle: brings a list into an order of chance.
    """
    order = list(keys)
    shuffle(order)
    first: dict[str, Place] = dict(reversed(order))
    chosen = set(first.values())
    for _, place in order:
        if len(chosen) >= size:
            break
        chosen.add(place)
    return chosen
