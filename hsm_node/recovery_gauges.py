"""The numbers of /metrics about drills and the copy of the DR site: only its nodes have them."""

from collections import Counter
from collections.abc import Callable
from math import nan

from hsm_node.core.drills import DrillResult, FaultReason
from hsm_node.metrics import Gauge, Labels
from hsm_node.service.drills import Drills


def recovery_gauges(drills: Drills) -> list[Gauge]:
    """Return what drills tell. A number that nobody knows is NaN: it is above and below nothing."""

    def of_last(read: Callable[[DrillResult], float | None]) -> Callable[[], float]:
        def value() -> float:
            found = None if drills.record.last is None else read(drills.record.last)
            return nan if found is None else found

        return value

    return [
        Gauge(
            "recovery_lag_records", "Changes that the DR site's copy lacks.", lambda: _or_nan(drills.lag.last.records)
        ),
        Gauge(
            "recovery_lag_seconds",
            "For how long it has lacked something, 0: nothing.",
            lambda: _or_nan(drills.lag.seconds),
        ),
        Gauge("recovery_objective_seconds", "The most that may be lost.", lambda: drills.settings.objective_seconds),
        Gauge("recovery_drill_interval_seconds", "From one drill to the next.", lambda: drills.settings.drill_seconds),
        Gauge(
            "recovery_last_good_drill_seconds", "When it was, since 1970; 0: never.", lambda: drills.record.last_good_at
        ),
        Gauge(
            "recovery_last_whole_drill_seconds",
            "When the last good one with every key was, since 1970; 0: never.",
            lambda: drills.record.last_whole_at,
        ),
        Gauge("recovery_last_drill_seconds", "When the last drill was, since 1970.", of_last(lambda last: last.at)),
        Gauge("recovery_last_drill_good", "1 if nothing was wrong in it.", of_last(lambda last: int(last.good))),
        Gauge("recovery_last_drill_duration_seconds", "How long it took.", of_last(lambda last: last.seconds)),
        Gauge("recovery_last_drill_keys", "Keys that it used.", of_last(lambda last: last.keys)),
        Gauge("recovery_last_drill_failed_keys", "Of these, keys that do not work.", of_last(lambda last: last.failed)),
        Gauge("recovery_last_drill_records", "Records that it read.", of_last(lambda last: last.records)),
        Gauge(
            "recovery_last_drill_refused_records",
            "Records that must not be used, or that the copy lacks.",
            of_last(lambda last: last.refused),
        ),
        Gauge(
            "recovery_last_drill_lag_seconds",
            "Until the copy had what there was when the drill looked.",
            of_last(lambda last: last.lag_seconds),
        ),
        Gauge("recovery_drills", "Drills since the start.", lambda: drills.made, counts=True),
        Gauge("recovery_failed_drills", "Drills that found something.", lambda: drills.bad, counts=True),
        Gauge("recovery_keys_tried", "Keys that drills have used.", lambda: drills.tried, counts=True),
        Gauge("recovery_keys_failed", "Keys that did not work in a drill.", lambda: drills.failed, counts=True),
    ]


def recovery_labels(drills: Drills) -> Labels:
    """Return what the last drill found, by reason; every reason is there."""
    faults = () if drills.record.last is None else drills.record.last.faults
    counts = Counter(fault.reason for fault in faults)
    what = "Faults that the last drill names, by what is wrong."
    return Labels("recovery_drill_faults", what, "reason", {str(reason): counts[reason] for reason in FaultReason})


def _or_nan(value: float | None) -> float:
    return nan if value is None else value
