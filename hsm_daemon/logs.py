"""One line an event on standard error; how many and in which form may change while the process runs."""

import logging
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hsm_daemon.errors import StartError
from hsm_daemon.log_format import JsonFormatter, LogfmtFormatter, priorities_for
from hsm_daemon.log_settings import DEFAULTS, LogSettings

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_FORMS: Final = {"logfmt": LogfmtFormatter, "json": JsonFormatter}
_FOREIGN: Final = ("asyncio", "py.warnings")
"""Loggers of others that write here too."""
_known: set[str] = {*_FOREIGN}


class _Running:
    """What the process writes with."""

    program = ""
    always: Mapping[str, object] = MappingProxyType({})
    settings = DEFAULTS
    handler: logging.Handler | None = None


def configure(program: str, settings: LogSettings = DEFAULTS, **always: object) -> None:
    """Send every log line of this process to standard error; what was configured before is replaced.

    Args:
        program: whose lines these are.
        settings: how much is written, and how.
        always: fields that each line has.

    Raises:
        StartError: a level is given to a logger that there is not.
    """
    check(settings)
    _Running.program = program
    _Running.always = always
    _Running.handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().handlers[:] = [_Running.handler]
    # Python's own warnings become lines of the same form.
    logging.captureWarnings(True)
    _use(settings)


def reconfigure(settings: LogSettings) -> None:
    """Take up other settings, which `check` has passed; a line says what changed, whatever level is in use.

    Where another program owns the log (nothing was configured), it stays as it is.
    """
    if _Running.handler not in logging.getLogger().handlers:
        return
    before = _shown(_Running.settings)
    changed = {key: f"{before[key]} -> {now}" for key, now in _shown(settings).items() if before[key] != now}
    _use(settings)
    if changed:
        event(_log, "info", "the log's settings have changed", **changed)


def check(settings: LogSettings) -> None:
    """Refuse levels for loggers that this program does not have: a typing error would change nothing, in silence.

    Raises:
        StartError: there is such a one.
    """
    for name in settings.levels:
        if not any(f"{known}.".startswith(f"{name}.") for known in _known):
            known = ", ".join(sorted(_known))
            raise StartError(f"log.levels: there is no logger {name!r}; there are {known}, and what they begin with")


def journal_prefix(level: str) -> str:
    """Return what goes before a line of that level which is written by other means; empty outside of the journal."""
    return priorities_for(sys.stderr).get(LEVELS[level], "")


def logger(name: str) -> logging.Logger:
    """Return the logger of one part of a program, such as "proxy.nodes"."""
    _known.add(name)
    return logging.getLogger(name)


def event(log: logging.Logger, level: str, text: str, **fields: object) -> None:
    """Log `text` (fixed words) with what varies as fields."""
    log.log(LEVELS[level], "%s", text, extra={"fields": fields})


def exception(log: logging.Logger, text: str, error: BaseException, **fields: object) -> None:
    """Log at level error what nobody thought of, with where it came from."""
    log.error("%s", text, exc_info=error, extra={"fields": fields})


_log = logger("daemon.logs")


def _use(settings: LogSettings) -> None:
    assert _Running.handler is not None, "there is a handler since `configure`"
    _Running.handler.setFormatter(
        _FORMS[settings.format](_Running.program, priorities_for(sys.stderr), _Running.always)
    )
    logging.getLogger().setLevel(LEVELS[settings.level])
    _log.setLevel(logging.INFO)  # a change of levels is told at every level
    for name in _Running.settings.levels:
        logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in settings.levels.items():
        logging.getLogger(name).setLevel(LEVELS[level])
    _Running.settings = settings


def _shown(settings: LogSettings) -> dict[str, str]:
    """Return the settings as fields; `level` is the line's own."""
    return {
        "format": settings.format,
        "default_level": settings.level,
        "levels": " ".join(f"{name}={level}" for name, level in sorted(settings.levels.items())) or "none",
        "slow_request_s": f"{settings.slow_request_s:g}",
    }
