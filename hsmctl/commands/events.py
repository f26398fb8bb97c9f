"""hsmctl events."""

import asyncio
import datetime
import json
from collections.abc import Callable
from typing import Any, Final

import click

from hsm_client.config import load_config
from hsm_wire.limits import DEFAULT_EVENTS_LIMIT, MAX_EVENTS_LIMIT
from hsmctl.moments import Length, Moment
from hsmctl.output import standard_output
from hsmctl.overview.events import Event, event_lines, fresh_events, moment_of
from hsmctl.overview.merging import merged
from hsmctl.overview.observer import Look, Observer, look_once
from hsmctl.overview.repeating import repeat
from hsmctl.proxies import Asker
from hsmctl.session import Session, cluster_options
from hsmctl.terminal import show

FOLLOW_S: Final = 1.0
"""Between two questions for new events."""


class Since(click.ParamType[datetime.datetime]):
    """A point in time, or how long ago it was."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """Return the moment, or say what one looks like."""
        if isinstance(value, datetime.datetime):
            return value
        if str(value)[-1:].isalpha() and not str(value).upper().endswith("Z"):
            ago_s = Length().convert(value, param, ctx)
            return datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=ago_s)
        return Moment().convert(value, param, ctx)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Then wait for new ones, until Ctrl-C; with --json one a line.")
@click.option("--since", type=Since(), metavar="WHEN", help="Only those since: 10m, 2h, 7d, or 2027-01-31T12:00Z.")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_EVENTS_LIMIT),
    help=f"At most that many of each proxy, the newest [{DEFAULT_EVENTS_LIMIT}, with --since {MAX_EVENTS_LIMIT}].",
)
@cluster_options
def events(session: Session, follow: bool, since: datetime.datetime | None, limit: int | None) -> None:
    """Show what happened: nodes and paths that went or came back, faults of stores, changes by operators.

    Each proxy of client.toml tells what it has seen, since it started and as far back as it keeps. Times are UTC.

    Example: hsmctl events --since 1h --follow
    """
    asker = Asker(load_config(session.config, session.proxies), session.timeout_s)
    wanted = limit or (MAX_EVENTS_LIMIT if since is not None else DEFAULT_EVENTS_LIMIT)

    def chosen(found: list[Event]) -> list[Event]:
        return [event for event in found if since is None or (event.at is not None and event.at >= since)]

    if follow:
        _follow(session, asker, wanted, chosen)
        return
    looks = asyncio.run(look_once(asker, wanted))
    found = chosen(fresh_events(looks))
    if session.out.as_json:
        session.out.result({"events": [event.document() for event in found]})
    elif found:
        show(event_lines(found, moment_of(merged(looks)), len(looks)))
    else:
        session.out.note("no events" if since is None else f"no events since {since:%Y-%m-%d %H:%M:%S} UTC")


def _follow(session: Session, asker: Asker, limit: int, chosen: Callable[[list[Event]], list[Event]]) -> None:
    silent: set[str] = set()

    async def look(observer: Observer) -> None:
        looks = await observer.look(limit)
        _note_silence(session, looks, silent)
        found = chosen(fresh_events(looks))
        if session.out.as_json:
            with standard_output():
                for event in found:
                    click.echo(json.dumps(event.document()))
        elif found:
            show(event_lines(found, moment_of(merged(looks)), len(looks)))

    repeat(asker, look, FOLLOW_S)


def _note_silence(session: Session, looks: list[Look], silent: set[str]) -> None:
    for look in looks:
        name = str(look.address)
        if look.report is None and name not in silent:
            silent.add(name)
            session.out.note(f"hsmctl: {look.fault}; still trying")
        elif look.report is not None and name in silent:
            silent.remove(name)
            session.out.note(f"hsmctl: proxy {name} answers again")
