"""Events in plain words, one line each."""

import datetime
from collections.abc import Iterable
from typing import Any, Final

import msgspec
from rich.text import Text

from hsm_wire.forms import named_fields
from hsm_wire.messages import EventReport
from hsmctl.overview import signs
from hsmctl.overview.merging import View
from hsmctl.overview.observer import Look
from hsmctl.printable import printable

TOGETHER: Final = datetime.timedelta(seconds=3)
"""Proxies notice the same thing within about this time of each other."""
LOOK_BACK: Final = 64
"""Lines that are looked at for one that tells the same: more than happens in that time."""


class Event(msgspec.Struct, frozen=True):
    """An event, and the proxy that told of it."""

    proxy: str
    told: EventReport

    @property
    def at(self) -> datetime.datetime | None:
        """When, as far as it can be read."""
        return maybe_moment(self.told.at)

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"proxy": self.proxy, **named_fields(self.told)}


def known_events(looks: Iterable[Look]) -> list[Event]:
    """Return all that is known, of all proxies, oldest first."""
    return _in_order((look, look.events) for look in looks)


def fresh_events(looks: Iterable[Look]) -> list[Event]:
    """Return what is new since the look before, oldest first."""
    return _in_order((look, look.fresh) for look in looks)


def event_lines(events: Iterable[Event], now: datetime.datetime | None, proxies: int) -> list[Text]:
    """Return the lines; with the date where it is not that of `now`.

    What several proxies tell of the same thing is one line, with their names where they are not all of `proxies`.
    """
    groups: list[list[Event]] = []
    for event in events:
        group = next((each for each in reversed(groups[-LOOK_BACK:]) if _same(each, event)), None)
        if group is None:
            groups.append([event])
        else:
            group.append(event)
    return [_line(group, now, proxies) for group in groups]


def moment_of(view: View) -> datetime.datetime | None:
    """Return what time it is by the first proxy that says it."""
    said = (look.report.now for look in view.looks if look.report is not None)
    return next((moment for moment in map(maybe_moment, said) if moment is not None), None)


def maybe_moment(text: str) -> datetime.datetime | None:
    """Return the moment that an RFC 3339 text names, in UTC."""
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment.astimezone(datetime.UTC) if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):  # the latter: a zone takes it beyond the calendar
        return None


def _in_order(told: Iterable[tuple[Look, tuple[EventReport, ...]]]) -> list[Event]:
    found = [
        Event(look.report.proxy if look.report is not None else str(look.address), event)
        for look, events in told
        for event in events
    ]
    beginning = datetime.datetime.min.replace(tzinfo=datetime.UTC)
    return sorted(found, key=lambda event: event.at or beginning)


def _same(group: list[Event], event: Event) -> bool:
    first = group[0]
    if (first.told.what, first.told.severity) != (event.told.what, event.told.severity):
        return False
    apart = event.at - first.at if event.at is not None and first.at is not None else None
    return apart is not None and abs(apart) <= TOGETHER and all(each.proxy != event.proxy for each in group)


def _line(group: list[Event], now: datetime.datetime | None, proxies: int) -> Text:
    event = group[0]
    sign, style = signs.SEVERITY.get(event.told.severity, signs.SEVERITY["info"])
    line = Text.assemble((_when(event, now), "dim"), "  ", (sign, style), " ")
    if len(group) < proxies:
        line.append(printable(f"{', '.join(each.proxy for each in group)}: "), "dim")
    return line.append(printable(event.told.what), "" if event.told.severity == "info" else style)


def _when(event: Event, now: datetime.datetime | None) -> str:
    at = event.at
    if at is None:
        return printable(event.told.at)
    return f"{at:%H:%M:%S}" if now is not None and at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"
