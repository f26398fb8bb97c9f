"""The nodes of each site, one line a node, and under it why it is not well."""

from collections.abc import Callable, Iterable
from typing import Final

from rich.text import Text

from hsm_wire.messages import SiteReport
from hsmctl.overview import signs
from hsmctl.overview.figures import bar, count, length, milliseconds, percent, rate
from hsmctl.overview.grid import Column, Grid
from hsmctl.overview.merging import STANDBY, NodeView, PathView, View
from hsmctl.printable import printable

BAR_CELLS: Final = 8
COLUMNS: Final = (
    Column("NODE"),
    Column("STATE"),
    Column("FOR", right=True, rank=4),
    Column("SHARE", rank=5),
    Column("", right=True),
    Column("REQ/S", right=True),
    Column("P50", right=True, rank=3),
    Column("P99", right=True),
    Column("IN FLIGHT", right=True, rank=2),
    Column("ANSWERS", right=True, rank=6),
    Column("MOVED", right=True, rank=7),
    Column("PATHS", rank=1),
)
SORTS: Final[dict[str, Callable[[NodeView], object]]] = {
    "name": lambda node: node.name,
    "req/s": lambda node: (-node.per_second, node.name),
    "p99": lambda node: (-(node.p99_ms or 0.0), node.name),
    "in flight": lambda node: (-node.in_flight, node.name),
    "state": lambda node: (node.in_rotation, node.name),
}
"""What nodes can be sorted by: name, or what is highest, or worst, first."""


def nodes(view: View, width: int) -> list[Text]:
    """Return the nodes in the order of the configuration, below their sites."""
    rows = {node.name: _cells(node) for node in view.nodes}
    if not rows:
        return []
    grid = Grid(COLUMNS, list(rows.values()), width)
    lines = [grid.head()]
    sites = {site.name: site for site in view.sites}
    for name in dict.fromkeys([*sites, *(node.site for node in view.nodes)]):
        lines.append(_site(name, sites.get(name)))
        for node in view.nodes:
            if node.site == name:
                lines += _lines(grid, node, rows[node.name])
    return lines


def sorted_nodes(view: View, width: int, sort: str) -> list[Text]:
    """Return the nodes sorted, over all sites."""
    ordered: Iterable[NodeView] = sorted(view.nodes, key=SORTS[sort])  # type: ignore[arg-type] # each key by itself
    rows = [(node, _cells(node)) for node in ordered]
    grid = Grid(COLUMNS, [cells for _, cells in rows], width)
    return [grid.head(), *(line for node, cells in rows for line in _lines(grid, node, cells))]


def path_cell(path: PathView) -> Text:
    """Return a path's name with its state."""
    name = printable(path.uplink)
    if path.up == path.of:
        return Text(name, "green")
    if path.up == 0:
        return Text(f"✗{name}", signs.BAD[1])
    return Text(f"▲{name} {path.up}/{path.of}", signs.UNSURE[1])


def _site(name: str, site: SiteReport | None) -> Text:
    line = Text.assemble((printable(name), "bold"), no_wrap=True, overflow="ellipsis")
    if site is None:
        return line
    about = [] if site.role == "active" else [site.role]
    about += [site.risk_zone] if site.risk_zone else []
    line.append(printable("".join(f", {each}" for each in about)), "dim")
    if site.uplinks:
        line.append("   uplinks ", "dim")
        for uplink in site.uplinks:
            style = {"up": "green", "down": signs.BAD[1]}.get(uplink.state, "dim")
            line.append(printable(f"{'✗' if uplink.state == 'down' else ''}{uplink.name} "), style)
            line.append("" if uplink.state == "up" else printable(f"{uplink.state} "), style)
    return line


def _lines(grid: Grid, node: NodeView, cells: list[Text]) -> list[Text]:
    lines = [grid.line(cells)]
    if node.state == STANDBY:
        lines.append(Text.assemble(("  └ ", "dim"), (printable(lag_words(node)), "dim")))
    style = "yellow" if node.in_rotation else "red"
    return lines + [Text.assemble(("  └ ", "dim"), (printable(reason), style)) for reason in _reasons(node)]


def lag_words(node: NodeView) -> str:
    """Say how far a copy is behind."""
    if node.lag_records is None or node.lag_s is None:
        return "how far it is behind is not known"
    return f"{count(node.lag_records, 'record')}, {node.lag_s:.1f} s behind"


def _reasons(node: NodeView) -> list[str]:
    reasons = [node.reason] if node.reason else []
    if node.store_fault and node.store_fault != node.reason:
        reasons.append(f"store: {node.store_fault}")
    if 0 < node.in_rotation < node.of:
        reasons.append(f"{node.in_rotation} of {node.of} proxies give it requests")
    return reasons


def _cells(node: NodeView) -> list[Text]:
    paths = Text(" ").join([path_cell(path) for path in node.paths])
    return [
        Text(printable(f"  {node.name}"), "bold"),
        signs.state(node.state, node.administrative),
        Text(length(node.since_s)),
        Text(bar(node.share, BAR_CELLS), "blue"),
        Text(percent(node.share)),
        Text(rate(node.per_second)),
        Text(milliseconds(node.p50_ms)),
        Text(milliseconds(node.p99_ms)),
        Text(f"{node.in_flight}/{node.window}"),
        Text(f"{node.requests:,}"),
        Text(f"{node.moved:,}"),
        paths,
    ]
