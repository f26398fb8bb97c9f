"""Counts what partitions use at this node, and tells proxies (USAGE). What is counted and merged: `hsm_cluster.usage`.

Theory. On the way of an answer there is one addition to a dictionary; once a second, and when a proxy asks, the sums go
into the cells. A request that was sent twice and done twice is counted twice, one that failed is not counted.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Mapping
from typing import Final

from hsm_cluster.usage import Row, Usage
from hsm_daemon import clock, logs
from hsm_node.service.failures import Failures
from hsm_node.service.request import Request
from hsm_wire.limits import MAX_USAGE_ROWS
from hsm_wire.messages import StoredRow, UsageNews, UsageReport, UsageRow, encode_body

BOOT_ID_BYTES: Final = 16

_log = logs.logger("hsm_node.service")


class Tally:
    """The counts of one node. Used on the event loop."""

    def __init__(self, node: str, stored: Callable[[], Mapping[int, int]], failures: Failures) -> None:
        """Count nothing yet.

        Args:
            node: its name, under which it counts.
            stored: returns how many keys there are, by partition.
            failures: answers what fails inside.
        """
        self._usage = Usage(node, clock.now())
        self._boot_id = os.urandom(BOOT_ID_BYTES)
        self._stored = stored
        self._failures = failures
        self._signed: dict[int, int] = {}
        self._generated: dict[int, int] = {}
        self._warned = False

    @property
    def usage(self) -> Usage:
        """What is known."""
        return self._usage

    def believe(self, nodes: Collection[str], partitions: Collection[int], since_s: float) -> None:
        """Hear of these nodes and partitions only, and count what was used since then (seconds since 1970)."""
        self._warned = False
        self.usage.advance(clock.now())
        self.usage.believe(nodes, partitions, since_s)

    def signed(self, partition: int) -> None:
        """Count a signature."""
        self._signed[partition] = self._signed.get(partition, 0) + 1

    def generated(self, partition: int) -> None:
        """Count a key that was generated."""
        self._generated[partition] = self._generated.get(partition, 0) + 1

    def fold(self) -> None:
        """Put what was counted into the cell of the period that runs."""
        self.usage.advance(clock.now())
        signed, generated = self._signed, self._generated
        if signed or generated:
            for partition in {**signed, **generated}:
                self.usage.count(partition, signed.get(partition, 0), generated.get(partition, 0))
            self._signed, self._generated = {}, {}

    def told(self, request: Request, body: UsageReport) -> bytes | None:
        """USAGE. Answered in a turn of its own: it says nothing of how long clients' requests take."""
        asyncio.get_running_loop().call_soon(self._answer, request, body)
        return None

    def _answer(self, request: Request, body: UsageReport) -> None:
        try:
            self.fold()
            # First what this node knew already, so that a proxy does not hear at once what it has just told.
            after = body.after if body.boot_id == self._boot_id else 0
            news = self.usage.news(after, MAX_USAGE_ROWS)
            self._merge(
                [Row(*(getattr(row, name) for name in Row._fields)) for row in body.rows], request.principal.identity
            )
            told = [UsageRow(*row) for row in news.rows]
            stored = [StoredRow(partition, keys) for partition, keys in self._stored().items()]
            request.succeed(encode_body(UsageNews(self._boot_id, news.newest, news.more, told, stored)))
        except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
            self._failures.answer(request, error)

    def _merge(self, rows: list[Row], proxy: str) -> None:
        refused = self.usage.claims.refused
        self.usage.merge(rows)
        if self.usage.claims.refused > refused and not self._warned:
            self._warned = True  # The metric says how many there are; one line is enough.
            what = "compare its cluster.toml with the one here; if they are the same, see docs/security.md"
            logs.event(_log, "warning", "a proxy told of use that cannot be", proxy=proxy, what=what)
