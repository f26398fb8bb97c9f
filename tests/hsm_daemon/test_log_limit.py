"""Lines at a bounded rate."""

import logging
from collections.abc import Callable

import pytest

from hsm_daemon import clock
from hsm_daemon.log_limit import TELL_EVERY_S, LimitedLog, tell_now_and_then


def test_lines_above_the_rate_are_counted_and_the_next_line_says_how_many(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    log = LimitedLog(logging.getLogger("test.limit"), 10)
    for _ in range(25):
        log.event("warning", "refused", peer="a")
    assert len(caplog.records) == 10
    now = 100.1
    log.event("warning", "refused", peer="b")
    log.event("warning", "refused", peer="c")
    assert [record.fields for record in caplog.records[10:]] == [{"peer": "b", "left_out": 15}]  # type: ignore[attr-defined]  # logs.event sets it
    now = 200.0
    log.event("warning", "refused", peer="d")
    log.event("warning", "refused", peer="e")
    assert [record.fields for record in caplog.records[11:]] == [{"peer": "d", "left_out": 1}, {"peer": "e"}]  # type: ignore[attr-defined]  # as above


def test_one_kind_of_line_hides_no_other(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    log = LimitedLog(logging.getLogger("test.limit"), 1)
    for text in ("refused", "refused", "closed", "closed", "refused"):
        log.event("warning", text)
    assert [record.getMessage() for record in caplog.records] == ["refused", "closed"]


def test_an_error_that_nobody_thought_of_is_told_with_its_place_at_that_rate(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    log = LimitedLog(logging.getLogger("test.limit"), 1)
    error = ValueError("x")
    log.exception("a page failed", error, path="/")  # noqa: LOG004 - a limited log, not a logger
    log.exception("a page failed", error, path="/")  # noqa: LOG004 - a limited log, not a logger
    (record,) = caplog.records
    assert (record.levelname, record.exc_info and record.exc_info[1]) == ("ERROR", error)


def test_a_level_that_is_not_written_counts_nothing(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "monotonic", lambda: 100.0)
    log = LimitedLog(logging.getLogger("test.limit"), 1)
    log.event("debug", "refused")
    log.event("debug", "refused")
    log.event("warning", "refused")
    assert [record.fields for record in caplog.records] == [{}]  # type: ignore[attr-defined]  # as above


def test_what_was_left_out_last_is_told_though_nothing_follows(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    log = LimitedLog(logging.getLogger("test.limit"), 0.5)
    for _ in range(5):
        log.event("warning", "refused", peer="a")
    loop = Loop()
    tell_now_and_then(loop)  # type: ignore[arg-type]  # as much of a loop as it needs
    now = 101.0
    loop.turn()
    assert len(caplog.records) == 1  # the rate holds for this line too
    now = 102.0
    loop.turn()
    loop.turn()
    assert [record.fields for record in caplog.records] == [{"peer": "a"}, {"left_out": 4}]  # type: ignore[attr-defined]  # as above
    assert loop.waits == [TELL_EVERY_S] * 4


class Loop:
    """Keeps the one call that it owes."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.due: Callable[[], None] | None = None

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.waits.append(delay_s)
        self.due = call

    def turn(self) -> None:
        assert self.due is not None
        self.due()
