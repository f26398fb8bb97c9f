"""Every path to every node, one line a path."""

from rich.text import Text

from hsmctl.overview import signs
from hsmctl.overview.grid import Column, Grid
from hsmctl.overview.merging import View
from hsmctl.overview.nodes import path_cell
from hsmctl.printable import printable

_COLUMNS = (Column("SITE"), Column("NODE"), Column("PATH"), Column("STATE"), Column("REASON"))


def paths(view: View, width: int) -> list[Text]:
    """Return the paths; by which proxies, where they see them differently."""
    rows = [
        [
            Text(printable(node.site)),
            Text(printable(node.name), "bold"),
            path_cell(path),
            _state(path.up, path.of),
            Text(printable(path.reason)),
        ]
        for node in view.nodes
        for path in node.paths
    ]
    grid = Grid(_COLUMNS, rows, width)
    return [grid.head(), *map(grid.line, rows)]


def _state(up: int, of: int) -> Text:
    if up == of:
        sign, style = signs.GOOD
        return Text(f"{sign} up", style)
    if up == 0:
        sign, style = signs.BAD
        return Text(f"{sign} down", style)
    sign, style = signs.UNSURE
    return Text(f"{sign} up from {up} of {of} proxies", style)
