"""What a log line looks like: logfmt or JSON, and the priority that the journal reads from its beginning."""

import json
import logging
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, TextIO

MAX_VALUE_CHARACTERS: Final = 2000  # of one field; a peer's text must not fill the disk
MAX_TRACEBACK_CHARACTERS: Final = 16_000  # kept from the end: the innermost calls say most
NOTHING: Final[Mapping[int, str]] = {}
PRIORITIES: Final[Mapping[int, str]] = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}
"""As sd-daemon(3) has them: the journal takes them off the line and keeps them as its PRIORITY."""


def priorities_for(stream: TextIO) -> Mapping[int, str]:
    """Return the prefixes of lines for that stream: none unless it is the journal's.

    systemd says by JOURNAL_STREAM which file that is; a stream that was redirected since is another one.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return NOTHING
    ours = f"{found.st_dev}:{found.st_ino}"
    return PRIORITIES if os.environ.get("JOURNAL_STREAM") == ours else NOTHING


class LineFormatter(logging.Formatter):
    """What both forms share: which pairs a line has, in which order."""

    def __init__(
        self,
        program: str,
        priorities: Mapping[int, str] = NOTHING,
        always: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """Prepare; `always`: fields of each line, behind the program's name."""
        super().__init__()
        self._program = {"program": program, **always}
        self._priorities = priorities

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; nothing in a field can begin another line or another field."""
        pairs: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            **self._program,
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields: Any = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            pairs.update({str(key): value for key, value in fields.items() if key not in pairs})
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        line = self.line({key: _shown(value) for key, value in pairs.items()}, traceback[-MAX_TRACEBACK_CHARACTERS:])
        return self._priorities.get(record.levelno, "") + line

    def line(self, pairs: Mapping[str, str | int | float], traceback: str) -> str:
        """Return the line of these pairs, and of a traceback unless it is empty."""
        raise NotImplementedError


class LogfmtFormatter(LineFormatter):
    """time=... level=... program=... logger=... event="fixed words" field=value ..."""

    def line(self, pairs: Mapping[str, str | int | float], traceback: str) -> str:
        """Return the pairs, what is not one plain word in quotes."""
        line = " ".join(f"{key}={_value(value)}" for key, value in pairs.items())
        return f"{line} traceback={json.dumps(traceback)}" if traceback else line


class JsonFormatter(LineFormatter):
    """{"time": "...", "level": "...", "program": "...", "logger": "...", "event": "fixed words", "field": value ...}"""

    def line(self, pairs: Mapping[str, str | int | float], traceback: str) -> str:
        """Return the pairs as one object; numbers stay numbers."""
        return json.dumps({**pairs, "traceback": traceback} if traceback else pairs)


def _shown(value: object) -> str | int | float:
    """Return a field's value with its type where both forms have it, else as text within its limit."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(f"{value:.6g}")
    text = str(value)
    return text if len(text) <= MAX_VALUE_CHARACTERS else text[:MAX_VALUE_CHARACTERS] + "..."


def _value(value: str | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = text and text.isascii() and text.isprintable() and not any(c in ' "=\\' for c in text)
    # JSON's escapes also make non-ASCII line breaks and terminal control codes harmless.
    return text if plain else json.dumps(text)
