"""Numbers as a page shows them: short, and with the same width from second to second where that can be."""

from typing import Final

BLOCKS: Final = " ▏▎▍▌▋▊▉█"
NOTHING: Final = "-"
"""What stands for a figure that is not there: no request was answered, or the proxy is too old to say."""
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400


def rate(per_second: float) -> str:
    """Return a rate with three significant digits at least where it is small."""
    if per_second == 0:
        return "0"
    return f"{per_second:.1f}" if per_second < 10 else f"{per_second:,.0f}"


def milliseconds(value: float | None) -> str:
    """Return a time with its unit."""
    if value is None:
        return NOTHING
    if value < 1:
        return f"{value * 1000:.0f} µs"
    if value < 1000:
        return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
    return f"{value / 1000:.1f} s"


def length(seconds: float) -> str:
    """Return a length of time in its two largest units."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole}s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S}m {whole % _MINUTE_S}s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S}h {whole % _HOUR_S // _MINUTE_S}m"
    return f"{whole // _DAY_S}d {whole % _DAY_S // _HOUR_S}h"


def percent(part: float) -> str:
    """Return a part of 1 as whole per cent."""
    return f"{part * 100:.0f}%"


def bar(part: float, cells: int) -> str:
    """Return a bar of that many characters, filled by the part, in eighths of a character."""
    eighths = round(min(max(part, 0.0), 1.0) * cells * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (BLOCKS[rest] if rest else "")).ljust(cells)


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where there is not exactly one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
