"""logfmt, JSON, and the journal's priorities."""

import io
import json
import logging
import os
import sys
from pathlib import Path

import pytest

from hsm_daemon.log_format import (
    MAX_VALUE_CHARACTERS,
    NOTHING,
    PRIORITIES,
    JsonFormatter,
    LineFormatter,
    LogfmtFormatter,
    priorities_for,
)

FIELDS = {"peer": "x\ny=1", "n": 3, "ok": True, "seconds": 1.23456789, "level": "fake", "long": "a" * 10_000}


def record_of(fields: dict[str, object], level: int = logging.INFO) -> logging.LogRecord:
    record = logging.LogRecord("a.b", level, "", 0, "went away", None, None)
    record.fields = fields
    return record


def test_no_field_can_begin_another_line_or_field() -> None:
    line = LogfmtFormatter("hsm-test").format(record_of(FIELDS))
    wanted = ' level=info program=hsm-test logger=a.b event="went away" peer="x\\ny=1" n=3 ok=true seconds=1.23457 '
    assert wanted in line
    assert "\n" not in line
    assert "fake" not in line
    assert len(line) < MAX_VALUE_CHARACTERS + 300


def test_json_has_the_same_pairs_with_their_types() -> None:
    line = JsonFormatter("hsm-test").format(record_of(FIELDS))
    assert "\n" not in line
    pairs = json.loads(line)
    assert pairs.pop("time").endswith("+00:00")
    assert pairs.pop("long") == "a" * MAX_VALUE_CHARACTERS + "..."
    assert pairs == {
        "level": "info", "program": "hsm-test", "logger": "a.b", "event": "went away",
        "peer": "x\ny=1", "n": 3, "ok": True, "seconds": 1.23457,
    }  # fmt: skip


@pytest.mark.parametrize("form", [LogfmtFormatter, JsonFormatter])
def test_a_traceback_is_one_more_pair_of_the_same_line(form: type[LineFormatter]) -> None:
    record = record_of({})
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record.exc_info = sys.exc_info()
    line = form("hsm-test").format(record)
    assert "\n" not in line
    assert "ValueError: two\\nlines" in line


def test_what_json_has_no_number_for_is_written_as_a_word() -> None:
    assert json.loads(JsonFormatter("t").format(record_of({"left_s": float("inf")})))["left_s"] == "inf"
    assert LogfmtFormatter("t").format(record_of({"left_s": float("inf")})).endswith("left_s=inf")


@pytest.mark.parametrize(
    ("level", "prefix"), [(logging.DEBUG, "<7>"), (logging.WARNING, "<4>"), (logging.ERROR, "<3>")]
)
def test_a_line_for_the_journal_begins_with_its_priority(level: int, prefix: str) -> None:
    for form in (LogfmtFormatter, JsonFormatter):
        assert form("t", PRIORITIES).format(record_of({}, level)).startswith(prefix)
        assert not form("t").format(record_of({}, level)).startswith("<")


def test_only_the_stream_that_systemd_named_is_the_journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w") as ours, (tmp_path / "file").open("w") as other:
        found = os.fstat(ours.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        assert priorities_for(ours) is PRIORITIES
        assert priorities_for(other) is NOTHING
        assert priorities_for(io.StringIO()) is NOTHING
        monkeypatch.delenv("JOURNAL_STREAM")
        assert priorities_for(ours) is NOTHING
