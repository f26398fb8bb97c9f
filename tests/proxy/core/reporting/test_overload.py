"""Overload begins and ends."""

from proxy.core.counters import OVERLOAD_REASONS, Counters
from proxy.core.notices import Notices
from proxy.core.reporting.overload import QUIET_S, REASONS, Overload


def scene():
    notices, counts = Notices(), Counters().overloaded
    return Overload(notices), notices, counts


def test_it_begins_once_and_ends_when_it_has_been_quiet():
    overload, notices, counts = scene()
    for beat in range(20):
        counts["queue_full"] += 3
        overload.tick(counts, beat * 0.5)
    (began,) = notices.take()
    assert (began.text, began.level, began.fields, overload.reason) == (
        "overload begins", "warning", {"reason": "queue_full"}, "queue_full"
    )  # fmt: skip
    overload.tick(counts, 9.5 + QUIET_S - 0.1)
    assert overload.reason
    overload.tick(counts, 9.5 + QUIET_S)
    (over,) = notices.take()
    assert (over.text, over.level, over.fields, overload.reason) == (
        "overload is over", "info", {"refused": 60, "for_s": 9.5}, ""
    )  # fmt: skip


def test_a_second_one_names_the_limit_that_it_met():
    overload, notices, counts = scene()
    counts["queue_full"] += 500
    overload.tick(counts, 0.0)
    overload.tick(counts, QUIET_S)
    counts["windows_full"] += 1
    overload.tick(counts, QUIET_S + 1)
    assert overload.reason == "windows_full"
    assert [notice.text for notice in notices.take()] == ["overload begins", "overload is over", "overload begins"]


def test_what_a_client_does_beyond_its_own_limits_is_none_of_the_cluster():
    overload, notices, counts = scene()
    for reason in set(OVERLOAD_REASONS) - set(REASONS):
        counts[reason] += 1
    overload.tick(counts, 0.0)
    assert (overload.reason, notices.take()) == ("", [])
