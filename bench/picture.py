"""The picture of docs/performance.md: a bar for each peer's CPU time in each workload, as plain SVG."""

from collections.abc import Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

Row = dict[str, Any]
COLOURS: Final = {"redoubt": "#0b6e4f", "haproxy": "#5b6c8f", "nginx": "#8d99ae", "twemproxy": "#b5a267"}
NAMES: Final = {"redoubt": "Redoubt", "haproxy": "HAProxy", "nginx": "nginx", "twemproxy": "twemproxy"}
WIDTH: Final = 760
LABEL: Final = 190
"""Of the names on the left."""
BAR: Final = 16
GAP: Final = 4
TITLE: Final = 30
LONGEST: Final = WIDTH - LABEL - 90
"""The longest bar of a panel; its figure stands behind it."""


def panels(rows: Sequence[Row], size: int) -> list[tuple[str, list[Row]]]:
    """Return the title and the rows of each panel: a workload with or without TLS."""
    found = []
    for tls in (False, True):
        for workload in dict.fromkeys(row["workload"] for row in rows):
            of_it = [
                row
                for row in rows
                if (row["workload"], row["tls"], row["size"]) == (workload, tls, size)
                and row["cpu_us_per_request"] is not None
            ]
            if of_it:
                found.append((f"{workload}, {'mTLS' if tls else 'plain'}", of_it))
    return found


def draw(rows: Sequence[Row], size: int = 128) -> str:
    """Return the picture as SVG."""
    parts: list[str] = []
    y = 34
    for title, of_it in panels(rows, size):
        y += TITLE
        parts.append(f'<text x="12" y="{y - 9}" font-weight="bold">{escape(title)}</text>')
        most = max(row["cpu_us_per_request"] for row in of_it)
        for row in of_it:
            parts += _bar(row, y, most)
            y += BAR + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 12}" width="{WIDTH}" height="{y + 12}" '
        'font-family="Inter, Helvetica, Arial, sans-serif" font-size="13" role="img">'
    )
    title = f"CPU time of the balancer for a request of {size} bytes, in µs (shorter is better)"
    ground = f'<rect width="100%" height="100%" fill="#ffffff"/><title>{escape(title)}</title>'
    return "\n".join([head, ground, f'<text x="12" y="24" font-size="15">{escape(title)}</text>', *parts, "</svg>", ""])


def _bar(row: Row, y: int, most: float) -> list[str]:
    cost = row["cpu_us_per_request"]
    length = max(1.0, cost / most * LONGEST)
    name = f"{NAMES.get(row['peer'], row['peer'])}{' (compiled)' if row['build'] == 'compiled' else ''}"
    colour = COLOURS.get(row["peer"], "#999999")
    middle = y + BAR - 4
    return [
        f'<text x="{LABEL - 8}" y="{middle}" text-anchor="end" fill="#333333">{escape(name)}</text>',
        f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>',
        f'<text x="{LABEL + length + 6:.1f}" y="{middle}" fill="#333333">{cost:.2f}</text>',
    ]
