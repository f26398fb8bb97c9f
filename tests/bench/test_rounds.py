"""Whole runs, short ones: nodes, load and peers as `make bench` starts them."""

import contextlib
import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as program
from bench import report, rounds
from bench.native import PYTHON, Tools
from bench.peers import Target
from bench.workloads import FULL, QUICK, WORKLOADS, Workload

SUBJECT = rounds.Subject("redoubt", "python", False, False, Target(1, 2410), 2, PYTHON, Path("folder"))
PLAN = QUICK._replace(plain=WORKLOADS[:1], tls=(), rounds=3)


def order_of(monkeypatch: pytest.MonkeyPatch, plan, subjects) -> list[str]:
    calls: list[str] = []

    def measure(subject, workload, plan, size) -> rounds.Sample:
        calls.append(f"{subject.peer} {workload.name}{' tls' if subject.tls else ''}")
        return {"cpu_us_per_request": 1.0}

    monkeypatch.setattr(rounds, "measure", measure)
    rounds.run(plan, subjects)
    return calls


def test_peers_take_turns_within_each_round(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = [SUBJECT, SUBJECT._replace(peer="haproxy"), SUBJECT._replace(peer="haproxy", tls=True)]
    plan = PLAN._replace(plain=WORKLOADS[:2], tls=WORKLOADS[:1], rounds=2)
    one = ["redoubt 64-sync", "haproxy 64-sync", "redoubt 1000-sync", "haproxy 1000-sync", "haproxy 64-sync tls"]
    assert order_of(monkeypatch, plan, subjects) == one * 2


def test_more_than_a_proxy_keeps_for_one_client_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = PLAN._replace(plain=WORKLOADS[2:], sizes=(128, 65536), rounds=1)
    assert order_of(monkeypatch, plan, [SUBJECT]) == ["redoubt 64x16", "redoubt 4x256", "redoubt 64x16"]


def test_no_round_begins_that_would_end_after_the_budget(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert order_of(monkeypatch, PLAN._replace(budget_seconds=0.0), [SUBJECT]) == ["redoubt 64-sync"]
    assert "1 of 3 rounds" in capsys.readouterr().err


def test_the_load_is_told_what_the_workload_says() -> None:
    command = rounds.load_command(SUBJECT._replace(tls=True), Workload("64x16", 64, 16), 4096)
    words = ["--port", "2410", "--size", "4096", "--connections", "64", "--in-flight", "16", "--tls", "folder"]
    assert command[len(PYTHON.load) :] == words


def test_a_missing_peer_is_left_out_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lacking = [peer._replace(lacking=lambda: "it") if peer.name == "nginx" else peer for peer in rounds.PEERS]
    monkeypatch.setattr(rounds, "PEERS", [peer._replace(lacking=peer.lacking) for peer in lacking])
    assert "nginx" not in [peer.name for peer in rounds.available(["redoubt", "nginx"])]
    assert capsys.readouterr().err == "nginx is missing and left out; install it with: apt-get install it\n"


def run_main(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *options: str) -> list[dict[str, object]]:
    monkeypatch.setattr(sys, "argv", ["bench", *options])
    monkeypatch.setattr(report.write, "__defaults__", (tmp_path / "latest.json",))
    program.main()
    rows: list[dict[str, object]] = json.loads((tmp_path / "latest.json").read_text())
    return rows


def test_a_run_writes_the_list_of_the_contract(
    c_tools: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--peer", "redoubt", "--peer", "direct", "--workload", "64x16"]
    rows = run_main(monkeypatch, tmp_path, "--quick", "--rounds", "1", "--seconds", "0.2", *names)
    tls = [True] * c_tools.speaks_tls * 2
    assert [row["tls"] for row in rows] == [False, False, *tls] or not c_tools.speaks_tls
    ours = [row for row in rows if row["peer"] == "redoubt"]
    assert all(isinstance(row["cpu_us_per_request"], float) and row["cpu_us_per_request"] > 0 for row in ours)
    assert all(row["loader"] == "c" and row["build"] == "python" and row["size"] == 128 for row in ours[:1])
    assert len(capsys.readouterr().out.splitlines()) == len(rows) + 1


# Peers are no requirement of the tests: those that a machine lacks are no tests there either.
@pytest.mark.parametrize("name", [peer.name for peer in rounds.PEERS if peer.lacking() is None])
def test_each_peer_of_this_machine_carries_every_kind_of_load(c_tools: Tools, tmp_path: Path, name: str) -> None:
    peers = rounds.available([name])
    plan = FULL._replace(seconds=0.1, warm_up_seconds=0.05)
    with contextlib.ExitStack() as stack:
        for tls in (False, True):
            for subject in rounds.start(stack, tmp_path, peers, rounds.Setting(plan), tls=tls):
                found = rounds.measure(subject, WORKLOADS[2], plan, 128)
                assert (found["cpu_us_per_request"] > 0) is (name != "direct")
                assert found["throughput"] > 0


def test_errors_end_the_run_instead_of_being_measured(c_tools: Tools, tmp_path: Path) -> None:
    plan = PLAN._replace(seconds=0.1, warm_up_seconds=0.05)
    with contextlib.ExitStack() as stack:
        [subject] = rounds.start(stack, tmp_path, rounds.available(["direct"]), rounds.Setting(plan), tls=False)
        lost = subject._replace(target=Target(0, 1))
        with pytest.raises(rounds.MeasureError, match="could not connect"):
            rounds.measure(lost, WORKLOADS[0], plan, 128)
