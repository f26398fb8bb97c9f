"""What the studies beside the matrix share: where they run, and the rows that they return."""

import contextlib
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import rounds
from bench.peers import Peer
from bench.workloads import Plan

Row = dict[str, Any]
"""`study` says which; what else is in it is the study's own."""


class Context(NamedTuple):
    """Where a study runs."""

    folder: Path
    peers: list[Peer]
    plan: Plan
    compiled: Path | None

    def start(
        self,
        stack: contextlib.ExitStack,
        name: str,
        *,
        tls: bool,
        without: Sequence[str] = (),
        plain_nodes: bool = False,
        limits: str = "",
    ) -> list[rounds.Subject]:
        """Start the peers but those, each study in a folder of its own."""
        peers = [peer for peer in self.peers if peer.name not in without]
        folder = self.folder / name
        setting = rounds.Setting(self.plan, self.compiled, plain_nodes, limits)
        return rounds.start(stack, folder, peers, setting, tls=tls)


def medians(taken: Sequence[Mapping[str, float]], figures: Sequence[str]) -> dict[str, float]:
    """Return the median of each of those figures."""
    return {name: round(statistics.median(sample[name] for sample in taken), 4) for name in figures}
