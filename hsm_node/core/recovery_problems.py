"""What is wrong with the DR site, and what to do about it: for `hsmctl dr status`."""

from typing import Final, NamedTuple

from hsm_node.core.drills import DrillRecord, FaultReason
from hsm_node.core.recovery_settings import RecoverySettings

OVERDUE_INTERVALS: Final = 2.0
"""Without a good drill for so many intervals: one may fail to begin, and the next has to make up for it. The alert
RecoveryDrillMissing has the same."""
_MINUTE_S: Final = 60
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_ADVICE: Final = {
    FaultReason.KNOWN_ANSWERS: "repair or replace this node: what it computes is wrong",
    FaultReason.MASTER_KEY: "give this node the master key of the productive nodes, in [keystore], and restart it",
    FaultReason.RECORDS: "replace this site's member of the store by a fresh one, which copies the others",
    FaultReason.KEYS: "compare the key on a productive node; if it works there, replace this site's copy",
    FaultReason.LAG: "look at this site's member of the store, its disk and its links to the other sites",
    FaultReason.STORE: "look whether this site's member of the store runs and reaches the others; where the productive "
    "sites are lost, `hsmctl dr promote` on this host has this one take over",
    FaultReason.INSIDE: "look into this node's log, then `hsmctl dr drill` tries again",
}


class Problem(NamedTuple):
    """One thing that is wrong."""

    what: str
    advice: str


class CopyState(NamedTuple):
    """What is known of this site's copy of the store now."""

    lag_seconds: float | None
    """For how long it has lacked something; None: nobody knows."""
    reason: str
    """Why nobody knows what it lacks; empty: it is known."""


def problems_of(
    record: DrillRecord, copy: CopyState, settings: RecoverySettings, started: float, now: float
) -> list[Problem]:
    """Return what is wrong with a site that stands by.

    Args:
        record: what is remembered of drills.
        copy: how far its copy of the store is.
        settings: what must hold.
        started: when the node did, seconds since 1970.
        now: by the same clock.
    """
    found = []
    last = record.last
    if last is not None:
        found += [Problem(f"the last drill: {fault.text}", _ADVICE[fault.reason]) for fault in last.faults]
    since = record.last_good_at or started
    if now - since > OVERDUE_INTERVALS * settings.drill_seconds:
        what = f"no drill was good for {in_words(now - since)}"
        found.append(Problem(what, "`hsmctl dr drill` makes one now and names what fails"))
    if copy.reason:
        found.append(Problem(f"nobody knows what this site lacks: {copy.reason}", _ADVICE[FaultReason.STORE]))
    elif copy.lag_seconds is not None and copy.lag_seconds > settings.objective_seconds:
        what = f"this site has lacked changes for {in_words(copy.lag_seconds)}"
        found.append(Problem(f"{what}; {settings.objective_seconds:g} s are allowed", _ADVICE[FaultReason.LAG]))
    return found


def in_words(seconds: float) -> str:
    """Return a time in its largest fitting unit."""
    for unit_s, name in ((_DAY_S, "days"), (_HOUR_S, "hours"), (_MINUTE_S, "minutes")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"
