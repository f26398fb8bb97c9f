"""The top of a page: how the cluster does, in words and figures, and each proxy."""

from typing import Final

from rich.text import Text

from hsmctl.overview import signs
from hsmctl.overview.figures import NOTHING, count, length, milliseconds, rate
from hsmctl.overview.grid import Column, Grid
from hsmctl.overview.merging import View, health_of
from hsmctl.overview.observer import Look
from hsmctl.printable import printable

MAX_PROBLEMS: Final = 6
"""Problems on one screen: who has more begins with these."""
ADVICE: Final = "what to do: hsmctl doctor"
_WORDS: Final = {"serving": "SERVING", "degraded": "DEGRADED: it serves, but not all is well", "down": "DOWN"}
_PROXIES: Final = (
    Column("PROXY"),
    Column("SITE", rank=4),
    Column("ADDRESS"),
    Column("HEALTH"),
    Column("REQ/S", right=True),
    Column("P50", right=True, rank=2),
    Column("P99", right=True, rank=1),
    Column("IN FLIGHT", right=True, rank=3),
    Column("WAITING", right=True, rank=6),
    Column("CLIENTS", right=True, rank=5),
    Column("UP FOR", right=True, rank=7),
    Column("SOFTWARE", rank=8),
)


def header(view: View, width: int) -> list[Text]:
    """Return the lines above the nodes."""
    sign, style = signs.HEALTH[view.health]
    first = Text.assemble((f"{sign} {_WORDS[view.health]}", f"bold {style.removeprefix('bold ')}"), no_wrap=True)
    if view.cluster:
        first.append(f"   cluster {printable(view.cluster)}", "bold")
        first.append(f", {view.in_rotation} of {count(len(view.nodes), 'node')} in rotation")
    lines = [first, *_problems(view)]
    if any(look.report is not None for look in view.looks):
        lines.append(_figures(view))
    return [*lines, *_proxies(view, width)]


def _problems(view: View) -> list[Text]:
    problems = list(view.problems)
    if not problems and view.health == "down":
        problems = ["all nodes that are up are drained" if view.drained else "no node serves"]
    sign, style = signs.BAD if view.health == "down" else signs.UNSURE
    lines = [Text.assemble((f"  {sign} ", style), printable(problem)) for problem in problems[:MAX_PROBLEMS]]
    if len(problems) > MAX_PROBLEMS:
        lines.append(Text(f"  and {len(problems) - MAX_PROBLEMS} more", "dim"))
    return [*lines, Text(f"  {ADVICE}", "dim")] if view.health != "serving" else lines


def _figures(view: View) -> Text:
    line = Text("  ", no_wrap=True, overflow="ellipsis")
    for figure, what, bad in (
        (rate(view.per_second), " req/s", False),
        (milliseconds(view.p50_ms), " p50", False),
        (milliseconds(view.p99_ms), " p99", False),
        (rate(view.failed_per_second), " failed/s", view.failed_per_second > 0),
        (rate(view.overloaded_per_second), " refused/s", view.overloaded_per_second > 0),
        (str(view.in_flight), " in flight", False),
        (str(view.waiting), " waiting", view.waiting > 0),
        (f"{view.clients}", " client" if view.clients == 1 else " clients", False),
    ):
        line.append(figure, "bold red" if bad else "bold").append(what, "red" if bad else "dim").append("   ")
    return line


def _proxies(view: View, width: int) -> list[Text]:
    if len(view.looks) == 1 and (report := view.looks[0].report) is not None:
        where = f"proxy {report.proxy} in {report.site}, {view.looks[0].address}, {report.software}, up "
        return [Text(f"  {printable(where)}{length(report.uptime_ms / 1000)}", "dim", no_wrap=True)]
    rows = [_row(look) for look in view.looks]
    grid = Grid(_PROXIES, rows, width)
    lines = [Text(), grid.head()]
    for look, row in zip(view.looks, rows, strict=True):
        lines.append(grid.line(row))
        if look.fault is not None:
            lines.append(Text.assemble(("  └ ", "dim"), (printable(str(look.fault)), "red")))
    return lines


def _row(look: Look) -> list[Text]:
    report = look.report
    if report is None:
        silent = [Text("?"), Text(NOTHING), Text(str(look.address)), Text("✗ silent", signs.BAD[1])]
        return silent + [Text(NOTHING)] * (len(_PROXIES) - len(silent))
    health = health_of(report)
    sign, style = signs.HEALTH[health]
    return [
        Text(printable(report.proxy), "bold"),
        Text(printable(report.site)),
        Text(str(look.address)),
        Text(f"{sign} {health}", style),
        Text(rate(report.requests_per_second)),
        Text(milliseconds(report.p50_ms)),
        Text(milliseconds(report.p99_ms)),
        Text(str(report.in_flight)),
        Text(str(report.waiting)),
        Text(str(report.clients)),
        Text(length(report.uptime_ms / 1000)),
        Text(printable(report.software)),
    ]
