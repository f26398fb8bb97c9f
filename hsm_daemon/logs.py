"""Logs as logfmt lines on standard error: `time=... level=info logger=proxy event="node is up" node=zrh-1`."""

import logging
import sys
from datetime import UTC, datetime

_FIELDS = "redoubt_fields"


class LogfmtFormatter(logging.Formatter):
    """One line a record; an exception's traceback goes on the same line, quoted."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, object] = {
            "time": when,
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return " ".join(f"{key}={_value(value)}" for key, value in fields.items())


def _value(value: object) -> str:
    text = "" if value is None else str(value)
    if text and not any(c in text for c in ' "=\n\r\t\\'):
        return text
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + quoted.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"'


def configure(program: str, level: str = "info") -> None:
    """Send the logs of this process to standard error, at that level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogfmtFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(True)
    logging.getLogger(program).debug("logging is set up")


def logger(name: str) -> logging.Logger:
    """Return the logger of that name."""
    return logging.getLogger(name)


def event(log: logging.Logger, level: int, text: str, **fields: object) -> None:
    """Log an event in plain words with its fields. Never pass a secret."""
    log.log(level, "%s", text, extra={_FIELDS: fields})
