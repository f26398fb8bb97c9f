"""One line an event, in logfmt, on standard error."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hsm_daemon.errors import StartError

MAX_VALUE_CHARACTERS: Final = 2000  # of one field; a peer's text must not fill the disk
MAX_TRACEBACK_CHARACTERS: Final = 16_000  # kept from the end: the innermost calls say most
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def configure(program: str, level: str = "info") -> None:
    """Send every log line of this process to standard error; what was configured before is replaced."""
    if level not in LEVELS:
        raise StartError(f"log level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter(program))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    # Python's own warnings become lines of the same form.
    logging.captureWarnings(True)


def logger(name: str) -> logging.Logger:
    """Return the logger of one part of a program, such as "proxy.nodes"."""
    return logging.getLogger(name)


def event(log: logging.Logger, level: str, text: str, **fields: object) -> None:
    """Log `text` (fixed words) with what varies as fields."""
    log.log(LEVELS[level], "%s", text, extra={"fields": fields})


class LogfmtFormatter(logging.Formatter):
    """time=... level=... program=... logger=... event="fixed words" field=value ..."""

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; nothing in a field can begin another line or another field."""
        pairs: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "program": self._program,
            "logger": record.name,
            "event": record.getMessage(),
        }
        fields: Any = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            pairs.update({str(key): value for key, value in fields.items() if key not in pairs})
        line = " ".join(f"{key}={_value(value)}" for key, value in pairs.items())
        if record.exc_info:
            traceback = self.formatException(record.exc_info)[-MAX_TRACEBACK_CHARACTERS:]
            line += f" traceback={json.dumps(traceback)}"
        return line


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    if len(text) > MAX_VALUE_CHARACTERS:
        text = text[:MAX_VALUE_CHARACTERS] + "..."
    plain = text and text.isascii() and text.isprintable() and not any(c in ' "=\\' for c in text)
    # JSON's escapes also make non-ASCII line breaks and terminal control codes harmless.
    return text if plain else json.dumps(text)
