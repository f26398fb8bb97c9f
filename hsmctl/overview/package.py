"""The service package: whether it is met now, and what partitions have used of it."""

from typing import Final

from rich.text import Text

from hsm_wire.messages import PartitionReport, StatusResult
from hsmctl.overview import signs
from hsmctl.overview.figures import NOTHING, percent
from hsmctl.overview.grid import Column, Grid
from hsmctl.overview.merging import View
from hsmctl.printable import printable

NEAR: Final = 0.9
"""Part of a quota from which on it is shown as something to look at."""
_COLUMNS: Final = (
    Column("PARTITION"),
    Column("SIGNATURES 24 H", right=True),
    Column("OF", right=True),
    Column("USED", right=True),
    Column("KEYS", right=True),
    Column("OF", right=True),
    Column("MADE 24 H", right=True, rank=2),
    Column("A SECOND", right=True, rank=3),
    Column("REFUSED", right=True, rank=1),
)


def package_lines(view: View) -> list[Text]:
    """Return the line of the package; nothing where proxies are too old to say."""
    reports = _reports(view)
    if not reports:
        return []
    short = dict.fromkeys(shortfall for report in reports for shortfall in report.shortfalls)
    name = printable(reports[0].package) + _durability(reports[0])
    if not short:
        return [Text.assemble(("  ✓ ", "green"), f"package {name} is met")]
    sign, style = signs.UNSURE
    words = printable("; ".join(short))
    return [Text.assemble((f"  {sign} ", style), f"package {name} is not met: {words}")]


def partition_lines(view: View, width: int) -> list[Text]:
    """Return a line a partition that the caller may see."""
    reports = _reports(view)
    if not reports or not reports[0].partitions:
        return []
    # All proxies hear of all counts; what each refused is its own.
    refused: dict[str, int] = {}
    for report in reports:
        for partition in report.partitions:
            refused[partition.name] = refused.get(partition.name, 0) + partition.refused
    rows = [_row(partition, refused[partition.name]) for partition in reports[0].partitions]
    grid = Grid(_COLUMNS, rows, width)
    return [Text(), grid.head(), *map(grid.line, rows)]


def _reports(view: View) -> list[StatusResult]:
    return [look.report for look in view.looks if look.report is not None and look.report.package]


def _durability(report: StatusResult) -> str:
    """Return what OK waits for, in a cluster that has a choice."""
    if not report.durability or all(site.role != "disaster-recovery" for site in report.sites):
        return ""
    return f" with durability {printable(report.durability)}"


def _row(partition: PartitionReport, refused: int) -> list[Text]:
    limit, stored = partition.signatures_limit, partition.stored_limit
    used = partition.signatures / limit if limit else 0.0
    full = partition.stored_keys / stored if stored else 0.0
    return [
        Text(printable(partition.name), "bold"),
        Text(f"{partition.signatures:,}"),
        _limit(limit),
        Text(percent(used) if limit else NOTHING, "bold red" if used >= NEAR else ""),
        Text(f"{partition.stored_keys:,}", "bold red" if full >= NEAR else ""),
        _limit(stored),
        Text(f"{partition.generations:,}"),
        _limit(partition.generations_per_second),
        Text(f"{refused:,}", "red" if refused else ""),
    ]


def _limit(value: int | None) -> Text:
    return Text(NOTHING if value is None else f"{value:,}")
