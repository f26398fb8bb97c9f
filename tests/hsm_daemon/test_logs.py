"""logfmt."""

import logging

from hsm_daemon.logs import MAX_VALUE_CHARACTERS, LogfmtFormatter


def test_no_field_can_begin_another_line_or_field() -> None:
    record = logging.LogRecord("a.b", logging.INFO, "", 0, "went away", None, None)
    record.fields = {"peer": "x\ny=1", "n": 3, "ok": True, "level": "fake", "long": "a" * 10_000}
    line = LogfmtFormatter("hsm-test").format(record)
    assert ' level=info program=hsm-test logger=a.b event="went away" peer="x\\ny=1" n=3 ok=true long=' in line
    assert "\n" not in line
    assert "fake" not in line
    assert len(line) < MAX_VALUE_CHARACTERS + 300
