"""Lines at a bounded rate."""

import logging

import pytest

from hsm_daemon import clock
from hsm_daemon.log_limit import LimitedLog


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
