"""Latency at half load: the same rate for all, taken from our own throughput."""

import contextlib
from pathlib import Path

import pytest

from bench import latency, rounds
from bench.native import PYTHON
from bench.peers import Target
from bench.study import Context
from bench.workloads import QUICK

OURS = rounds.Subject("redoubt", "python", False, False, Target(1, 2410), 2, PYTHON, Path("folder"))


def test_everybody_gets_half_of_what_our_proxy_can(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[tuple[str, float]] = []

    def measure(subject: rounds.Subject, workload: object, plan, size: int) -> rounds.Sample:
        rates.append((subject.peer, plan.rate))
        return {"throughput": 4000.0} | dict.fromkeys(latency.FIGURES, 1.0)

    def start(self: Context, stack: contextlib.ExitStack, name: str, *, tls: bool) -> list[rounds.Subject]:
        return [OURS._replace(tls=tls), OURS._replace(peer="direct", tls=tls)]

    monkeypatch.setattr(rounds, "measure", measure)
    monkeypatch.setattr(Context, "start", start)
    found = latency.measure(Context(Path("folder"), [], QUICK._replace(rounds=2), None))
    assert rates == [("redoubt", 0.0), *[("redoubt", 2000.0), ("direct", 2000.0)] * 2] * 2
    assert [(row["peer"], row["tls"], row["rate"], row["rounds"]) for row in found] == [
        (peer, tls, 2000.0, 2) for tls in (False, True) for peer in ("redoubt", "direct")
    ]
