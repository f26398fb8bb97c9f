"""Points in time and lengths of time, as the command line takes and shows them."""

import datetime
import re
from typing import Any, Final

import click

from hsm_wire.limits import MAX_DESTRUCTION_WAIT_S

UNITS_S: Final = {"w": 7 * 86_400, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_LENGTH: Final = re.compile(r"(\d{1,10})([wdhms])", re.ASCII)


class Length(click.ParamType[int]):
    """A length of time, `7d` for example, in seconds."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds, or say what a length looks like."""
        if isinstance(value, int):
            return value
        found = _LENGTH.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is no length of time; write 90s, 30m, 12h, 7d or 2w.", param, ctx)
        seconds = int(found[1]) * UNITS_S[found[2]]
        if seconds > MAX_DESTRUCTION_WAIT_S:
            self.fail(f"{value} is too long; at most {MAX_DESTRUCTION_WAIT_S // 86_400}d are taken.", param, ctx)
        return seconds


class Moment(click.ParamType[datetime.datetime]):
    """A point in time in ISO 8601; where it names no time zone, in UTC."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """Return the moment, or say what one looks like."""
        if isinstance(value, datetime.datetime):
            return value
        try:
            found = datetime.datetime.fromisoformat(value)
            found = found if found.tzinfo is not None else found.replace(tzinfo=datetime.UTC)
            if found.timestamp() >= 1:
                return found
        except (ValueError, OverflowError):
            pass
        return self.fail(f"{value!r} is no date after 1970; write 2027-01-31 or 2027-01-31T12:00Z.", param, ctx)


def length_text(seconds: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of, weeks excepted."""
    for unit in ("d", "h", "m"):
        if seconds % UNITS_S[unit] == 0:
            return f"{seconds // UNITS_S[unit]}{unit}"
    return f"{seconds}s"


def moment_text(unix_s: int) -> str:
    """Return a moment in ISO 8601, in UTC; as a number where it is beyond the calendar."""
    try:
        return datetime.datetime.fromtimestamp(unix_s, datetime.UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        return str(unix_s)
