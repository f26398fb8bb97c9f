"""One screen of `top`: exactly as many lines as the terminal has."""

from typing import Final

from rich.text import Text

from hsmctl.overview.events import event_lines, known_events, moment_of
from hsmctl.overview.header import header
from hsmctl.overview.merging import View
from hsmctl.overview.nodes import nodes, sorted_nodes
from hsmctl.overview.paths import paths
from hsmctl.top.controls import HELP, VIEWS, Controls

KEYS: Final = "q quit   space pause   tab view   s sort   h help"
MIN_EVENTS: Final = 3
"""Below the nodes there are events where at least that many lines are left for them."""
NOT_YET: Final = "Asking the proxies..."


def frame(view: View | None, controls: Controls, width: int, height: int) -> list[Text]:
    """Return the screen; `view` is None before the first answer."""
    top = _title(view, controls, width)
    if controls.help:
        body = _help()
    elif view is None:
        body = [Text(NOT_YET, "dim")]
    else:
        top += [*header(view, width), Text()]
        body = _body(view, controls, width, height - len(top) - 1)
    room = max(height - len(top) - 1, 0)
    shown = _window(body, controls.offset, room)
    lines = [*top, *shown, *[Text()] * (room - len(shown))][: max(height - 1, 0)]
    return [_cut(line, width) for line in [*lines, _footer(controls)]]


def _title(view: View | None, controls: Controls, width: int) -> list[Text]:
    moment = moment_of(view) if view is not None else None
    time = f"{moment:%H:%M:%S} UTC" if moment is not None else ""
    line = Text(" hsmctl top ", "bold reverse").append(" ", "not bold not reverse")
    for name in VIEWS:
        chosen = name == controls.view and not controls.help
        line.append(f" {name} ", "reverse" if chosen else "dim").append(" ")
    state = f"PAUSED  {time}" if controls.paused else f"every {controls.interval_s:g} s  {time}"
    line.append(" " * max(width - line.cell_len - len(state), 1))
    return [line.append(state, "bold yellow" if controls.paused else "dim"), Text()]


def _body(view: View, controls: Controls, width: int, room: int) -> list[Text]:
    if controls.view == "events":
        return _events(view)[::-1] or [Text("no events", "dim")]
    if controls.view == "paths":
        return paths(view, width)
    if controls.order == "site":
        body = nodes(view, width)
    else:
        body = [Text(f"sorted by {controls.order}", "dim"), *sorted_nodes(view, width, controls.order)]
    left = room - len(body) - 2
    events = _events(view)[-left:] if left >= MIN_EVENTS else []
    return [*body, Text(), Text("LATEST EVENTS (UTC)", "dim"), *events] if events else body


def _events(view: View) -> list[Text]:
    return event_lines(known_events(view.looks), moment_of(view), len(view.looks))


def _window(body: list[Text], offset: int, room: int) -> list[Text]:
    """Return the lines that fit, from the offset on, or the last ones where it is beyond the end."""
    if len(body) <= room:
        return body
    return body[min(offset, len(body) - room) :][:room]


def _help() -> list[Text]:
    wide = max(len(keys) for keys, _ in HELP)
    return [Text.assemble((f"  {keys:<{wide}}  ", "bold"), what) for keys, what in HELP]


def _footer(controls: Controls) -> Text:
    return Text(f" {KEYS}" if not controls.help else " any key goes back", "dim")


def _cut(line: Text, width: int) -> Text:
    cut = line.copy()
    cut.truncate(width, overflow="ellipsis")
    return cut
