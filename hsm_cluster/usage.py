"""How much each partition has used in the last 24 hours: counted by the nodes, told from one to the other. Pure.

Theory. A day is 288 periods of five minutes. A node counts what it did in its own cell for each partition and period,
and nobody else does. Cells only grow, so of two values for a cell the larger one is the newer: whoever hears of a cell,
late, twice or by way of others, takes the larger value, and all who have heard the same agree. No vote is needed and
no central place, and what a node counted is not lost with it, because whoever heard of it tells the others.

What counts is the period that runs and the 288 before it. So in no 24 hours is more counted as used up than the limit
lets through, and of a limit at most one part in 289 is missing: 0.35 %.

A node that was killed begins with what it had written down, up to a second too little. When it hears its own cells
from others, larger than they were, it adds to them what it has counted since, so that second is not lost either.

Cells of other clocks: a period that is still to come by this clock is taken for the next one, one of a day ago or more
is over. Hosts whose clocks differ by more than five minutes count in each other's wrong period (see the alert about
clocks); the sum is the same. Who is believed: `usage_claims`.
"""

from array import array
from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

from hsm_cluster.usage_claims import MAX_GENERATIONS, MAX_SIGNATURES, PERIOD_S, Claims, can_be

PERIODS: Final = 288
"""In a day."""
DAY_S: Final = PERIOD_S * PERIODS
MAX_SERIES: Final = 16_384
"""Pairs of node and partition: of four nodes and 4,096 partitions. 80 MB when all of them are busy all day."""
_RING: Final = PERIODS + 2
"""Cells of a series: a day, the period that runs, and the next one by a clock that is ahead."""


class Row(NamedTuple):
    """One cell as it is told."""

    node: str
    partition: int
    period: int
    """Since 1970."""
    signatures: int
    generations: int


class News(NamedTuple):
    """What somebody has not heard yet."""

    rows: list[Row]
    newest: int
    """To be named when asking for what follows."""
    more: bool
    """There is more than was asked for."""


class Growth(NamedTuple):
    """What was new to the one who heard it."""

    partition: int
    signatures: int
    generations: int
    """Of these only what was made in the period that runs or the one before."""


class _Series:
    """The cells of one node and partition."""

    __slots__ = ("base", "changed", "generations", "latest", "node", "number", "partition", "periods", "settled",
                 "signatures")  # fmt: skip

    def __init__(self, node: str, partition: int) -> None:
        self.node = node
        self.partition = partition
        self.periods = array("Q", bytes(8 * _RING))
        self.signatures = array("I", bytes(4 * _RING))
        self.generations = array("I", bytes(4 * _RING))
        self.changed = array("Q", bytes(8 * _RING))
        """Number of each cell's last change."""
        self.number = 0
        """The highest of them."""
        self.latest = 0
        """Period of the last change: most often only that cell is news."""
        self.settled = 0
        """No other cell has changed after this number."""
        self.base: dict[int, tuple[int, int]] = {}
        """Period -> its counts when this process began to count in it, or last heard of them from others."""

    def place(self, period: int) -> int:
        """Return where the cell of a period is, emptied if it was another one's."""
        at = period % _RING
        if self.periods[at] != period:
            self.periods[at] = period
            self.signatures[at] = self.generations[at] = 0
        return at

    def note(self, period: int, number: int) -> None:
        """Note a change."""
        if period != self.latest:
            self.settled, self.latest = self.number, period
        self.number = self.changed[period % _RING] = number

    def row(self, at: int) -> Row:
        return Row(self.node, self.partition, self.periods[at], self.signatures[at], self.generations[at])


class Usage:
    """What one process knows of everybody's use."""

    def __init__(self, node: str, now_s: float) -> None:
        """Know nothing yet.

        Args:
            node: the name under which this process counts; empty for one that counts nothing.
            now_s: seconds since 1970.
        """
        self.node = node
        self.number = 0
        """Of the last change."""
        self.period = int(now_s) // PERIOD_S
        self.claims = Claims()
        self._series: dict[tuple[str, int], _Series] = {}
        """The one that changed last is the last one."""
        self._totals: dict[int, list[int]] = {}

    def believe(self, nodes: Collection[str], partitions: Collection[int], since_s: float = 0.0) -> None:
        """Believe from now on what is told of these, and count what was used since then (seconds since 1970)."""
        self.claims.configure(nodes, partitions, since_s, self.period)
        self._sum_up()

    def signatures(self, partition: int) -> int:
        """Return how many were made in the window."""
        return self._totals.get(partition, (0, 0))[0]

    def generations(self, partition: int) -> int:
        """Return how many keys were generated in the window."""
        return self._totals.get(partition, (0, 0))[1]

    def relief_s(self, partition: int, limit: int, now_s: float) -> float:
        """Return in how many seconds less than `limit` signatures will be in the window; 0: there are now."""
        left = self.signatures(partition)
        if left < limit:
            return 0.0
        by_period: dict[int, int] = {}
        for series in self._series.values():
            if series.partition == partition:
                for at, period in enumerate(series.periods):
                    if self._counts(period):
                        by_period[period] = by_period.get(period, 0) + series.signatures[at]
        for period, count in sorted(by_period.items()):
            left -= count
            if left < limit:
                return max(0.0, (period + PERIODS + 1) * PERIOD_S - now_s)
        return float(DAY_S)  # Only a limit of 0 comes here.

    def advance(self, now_s: float) -> bool:
        """Take note of the time; say whether another period runs now. To be called before anything else."""
        period, before = int(now_s) // PERIOD_S, self.period
        if period in (before, before - 1):  # A clock that is set back a little tells the same.
            return False
        self.period = period
        if before < period <= before + PERIODS:
            for over in range(max(before - PERIODS, self.claims.since), period - PERIODS):
                self._let_go(over)
        else:  # The clock was set.
            self._sum_up()
        return True

    def count(self, partition: int, signatures: int, generations: int) -> None:
        """Count what this process did, in the period that runs."""
        series = self._series.get((self.node, partition)) or self._begin(self.node, partition)
        at = series.place(self.period)
        if self.period not in series.base:
            series.base = {self.period: (series.signatures[at], series.generations[at])}
        self._set(series, at, series.signatures[at] + signatures, series.generations[at] + generations)

    def merge(self, rows: Iterable[Row]) -> list[Growth]:
        """Take what somebody told; return what of it was new."""
        grown = []
        for row in rows:
            period = min(row.period, self.period + 1)
            if not self._counts(period) or not (row.signatures or row.generations):
                continue
            series = self._find(row)
            if series is None:
                self.claims.refused += 1
                continue
            at = series.place(period)
            signatures, generations = self._joined(series, at, row)
            more = signatures - series.signatures[at], generations - series.generations[at]
            if more != (0, 0):
                self._set(series, at, signatures, generations)
                grown.append(Growth(row.partition, more[0], more[1] if period >= self.period - 1 else 0))
        return grown

    def news(self, after: int, limit: int, but: str = "") -> News:
        """Return the cells that changed after that number, the oldest changes first.

        Args:
            after: number of the last change that is known already.
            limit: most rows.
            but: name of a node whose own cells are left out.
        """
        found: list[tuple[int, _Series, int]] = []
        for series in reversed(self._series.values()):
            if series.number <= after:
                break
            if series.node != but:
                places = range(_RING) if series.settled > after else (series.latest % _RING,)
                changed = ((series.changed[at], series, at) for at in places)
                found += [row for row in changed if row[0] > after and self._counts(row[1].periods[row[2]])]
        found.sort(key=lambda row: row[0])
        told = found[:limit]
        more = len(found) > limit
        newest = told[-1][0] if more else self.number
        return News([series.row(at) for _, series, at in told], newest, more)

    # ---- inside ---------------------------------------------------------------------------------------------------

    def _counts(self, period: int) -> bool:
        return max(self.period - PERIODS, self.claims.since) <= period <= self.period + 1

    def _let_go(self, over: int) -> None:
        """Take a period that is over out of the sums: one cell of each series, for it is done on a proxy's loop.

        Where that cell was counted in by a clock that was set back since, it is of the next period by now.
        """
        at = over % _RING
        for series in self._series.values():
            if series.periods[at] == over:
                self._add(series.partition, -series.signatures[at], -series.generations[at])
            elif series.periods[at] == over + _RING:
                self._add(series.partition, series.signatures[at], series.generations[at])

    def _sum_up(self) -> None:
        self._totals = {}
        for series in self._series.values():
            for at, of in enumerate(series.periods):
                if self._counts(of):
                    self._add(series.partition, series.signatures[at], series.generations[at])

    def _find(self, row: Row) -> _Series | None:
        """Return where a row that was told belongs; nothing where it is not believed."""
        if not can_be(row.signatures, row.generations):
            return None
        series = self._series.get((row.node, row.partition))
        if series is not None or not self.claims.are_known(row.node, row.partition):
            return series
        # What is told must not take the place of what counts.
        full = len(self._series) >= MAX_SERIES and self._counts(next(iter(self._series.values())).latest)
        return None if full else self._begin(row.node, row.partition)

    def _begin(self, node: str, partition: int) -> _Series:
        if len(self._series) >= MAX_SERIES:
            self._forget(next(iter(self._series)))
        series = self._series[node, partition] = _Series(node, partition)
        return series

    def _forget(self, key: tuple[str, int]) -> None:
        series = self._series.pop(key)
        for at, period in enumerate(series.periods):
            if self._counts(period):
                self._add(series.partition, -series.signatures[at], -series.generations[at])

    def _joined(self, series: _Series, at: int, row: Row) -> tuple[int, int]:
        """Return the counts of a cell once that row was heard."""
        own = series.signatures[at], series.generations[at]
        heard = row.signatures, row.generations
        base = series.base.get(series.periods[at])
        if base is None:
            return max(own[0], heard[0]), max(own[1], heard[1])
        joined = tuple(
            mine if told <= mine else told + mine - begun for mine, told, begun in zip(own, heard, base, strict=True)
        )
        series.base[series.periods[at]] = max(base[0], heard[0]), max(base[1], heard[1])
        return joined[0], joined[1]

    def _set(self, series: _Series, at: int, signatures: int, generations: int) -> None:
        signatures, generations = min(signatures, MAX_SIGNATURES), min(generations, MAX_GENERATIONS)
        if self._counts(series.periods[at]):
            self._add(series.partition, signatures - series.signatures[at], generations - series.generations[at])
        series.signatures[at], series.generations[at] = signatures, generations
        self.number += 1
        series.note(series.periods[at], self.number)
        key = series.node, series.partition
        self._series[key] = self._series.pop(key)

    def _add(self, partition: int, signatures: int, generations: int) -> None:
        total = self._totals.setdefault(partition, [0, 0])
        total[0] += signatures
        total[1] += generations
