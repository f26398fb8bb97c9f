"""Lines about single requests."""

import logging

import pytest

from hsm_daemon.log_settings import LogSettings
from proxy.core.notices import Notice
from proxy.core.requests.request_notes import RequestNotes
from proxy.request_log import RequestLog

NEVER = float("inf")


@pytest.fixture
def requests():
    log = logging.getLogger("proxy.requests")
    yield log
    log.setLevel(logging.NOTSET)


def test_the_time_of_the_settings_is_what_the_core_compares_with(requests):
    notes = RequestNotes()
    requests.setLevel(logging.INFO)
    log = RequestLog(notes, LogSettings(slow_request_s=0.25))
    assert notes.noted_s == 0.25
    log.use(LogSettings(slow_request_s=0))
    assert notes.noted_s == NEVER


def test_the_level_debug_of_that_logger_asks_for_all(requests):
    notes = RequestNotes()
    requests.setLevel(logging.DEBUG)
    RequestLog(notes, LogSettings())
    assert notes.noted_s == 0.0


def test_what_was_noted_becomes_lines(caplog, monkeypatch):
    notes = RequestNotes()
    log = RequestLog(notes, LogSettings())
    noted = [Notice("a request was slow", {"operation_id": "07"})]
    monkeypatch.setattr(RequestNotes, "take", lambda self, now: noted if now == 5.0 else [])
    log.tick(4.0)
    log.tick(5.0)
    (record,) = caplog.records
    assert (record.name, record.levelname, record.getMessage()) == ("proxy.requests", "WARNING", "a request was slow")
    assert record.fields == {"operation_id": "07"}
