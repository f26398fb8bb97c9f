"""Signals and systemd, in processes of their own."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import Lifecycle, chosen_event_loop

PROGRAM = """
import asyncio, sys
from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import run
logs.configure("test")
reloads = 0
def reload():
    global reloads
    reloads += 1
    print("reloaded", flush=True)
    if reloads == 1:
        raise StartError("key file is missing; create it")
    if reloads == 2:
        raise KeyError("a bug")
def upgrade():
    print("upgrade", flush=True)
    if sys.argv[2] == "leave":
        life.leave()
    else:
        raise OSError("cannot")
async def main(lifecycle):
    global life
    life = lifecycle
    life.on_reload(reload)
    if sys.argv[2] != "plain":
        life.on_upgrade(upgrade)
    print("up", flush=True)
    await life.stopping.wait()
    print("stopping", flush=True)
    if sys.argv[2] in ("hang", "leave"):
        await asyncio.Event().wait()
sys.exit(run(main, sys.argv[1]))
"""


class Program:
    """PROGRAM in a process."""

    def __init__(self, kind: str, mode: str) -> None:
        command = [sys.executable, "-c", PROGRAM, kind, mode]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
        self.expect("up")

    def expect(self, word: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == f"{word}\n"

    def send(self, number: signal.Signals, word: str) -> None:
        self.process.send_signal(number)
        self.expect(word)

    def log(self) -> str:
        """Return the next line of the log."""
        assert self.process.stderr is not None
        return self.process.stderr.readline()


@pytest.fixture
def program() -> Iterator[Callable[[str, str], Program]]:
    """Start programs that end with the test."""
    started: list[Program] = []

    def start(kind: str, mode: str) -> Program:
        started.append(Program(kind, mode))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


both_loops = pytest.mark.parametrize("kind", ["asyncio", "uvloop"])


@both_loops
@pytest.mark.parametrize(("mode", "code"), [("soft", 0), ("hang", 1)])
def test_the_first_signal_asks_and_the_second_forces(program: Any, kind: str, mode: str, code: int) -> None:
    running = program(kind, mode)
    running.send(signal.SIGTERM, "stopping")
    if mode == "hang":
        running.process.send_signal(signal.SIGINT)
    assert running.process.wait(10) == code


@both_loops
def test_a_reload_that_fails_is_one_line_and_what_runs_goes_on(program: Any, kind: str) -> None:
    running = program(kind, "soft")
    running.send(signal.SIGHUP, "reloaded")
    line = running.log()
    assert 'event="reload failed; everything stays as it was" reason="key file is missing; create it"' in line
    assert "traceback" not in line
    running.send(signal.SIGHUP, "reloaded")
    assert "traceback=" in running.log()
    running.send(signal.SIGHUP, "reloaded")
    running.send(signal.SIGTERM, "stopping")
    assert "event=stopping" in running.log()
    assert running.process.wait(10) == 0


@both_loops
def test_an_upgrade_can_leave_and_one_signal_afterwards_does_not_force(program: Any, kind: str) -> None:
    running = program(kind, "leave")
    running.send(signal.SIGUSR2, "upgrade")
    running.expect("stopping")
    running.process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    assert running.process.poll() is None  # it drains on
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(10) == 1


@both_loops
def test_an_upgrade_that_fails_or_is_not_offered_ends_nothing(program: Any, kind: str) -> None:
    running = program(kind, "soft")
    running.send(signal.SIGUSR2, "upgrade")
    assert 'event="upgrade failed"' in running.log()
    running.send(signal.SIGUSR2, "upgrade")
    running.send(signal.SIGTERM, "stopping")
    assert running.process.wait(10) == 0
    plain = program(kind, "plain")
    plain.process.send_signal(signal.SIGUSR2)
    assert "cannot be upgraded" in plain.log()
    plain.send(signal.SIGTERM, "stopping")


async def test_systemd_hears_of_the_successor_and_then_nothing_from_its_predecessor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setattr("gc.freeze", lambda: None)  # what the tests leave behind is to be collected
        lifecycle = Lifecycle()
        lifecycle.leave(successor=4711)
        lifecycle.leave()
        lifecycle.ready("still here")
        assert lifecycle.stopping.is_set()
        assert manager.recv(100) == b"MAINPID=4711"
        with pytest.raises(BlockingIOError):
            manager.recv(100)
        Lifecycle().leave()
        assert manager.recv(100) == b"STOPPING=1"


@both_loops
def test_what_was_ended_by_the_watchdog_says_where_it_stood(program: Any, kind: str) -> None:
    running = program(kind, "soft")
    running.process.send_signal(signal.SIGABRT)
    _, log = running.process.communicate(timeout=10)
    assert running.process.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in log
    assert "in run" in log


def test_the_environment_chooses_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSM_EVENT_LOOP", "asyncio")
    assert chosen_event_loop("uvloop") == "asyncio"
    monkeypatch.setenv("HSM_EVENT_LOOP", "trio")
    with pytest.raises(StartError, match="'trio' is unknown"):
        chosen_event_loop()
