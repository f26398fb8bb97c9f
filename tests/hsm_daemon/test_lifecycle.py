"""Signals and systemd, in processes of their own."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hsm_daemon.errors import StartError
from hsm_daemon.lifecycle import chosen_event_loop, notify

PROGRAM = """
import asyncio, sys
from hsm_daemon.lifecycle import run
async def main(life):
    life.on_reload(lambda: print("reloaded", flush=True))
    print("up", flush=True)
    await life.stopping.wait()
    print("stopping", flush=True)
    if sys.argv[2] == "hang":
        await asyncio.Event().wait()
sys.exit(run(main, sys.argv[1]))
"""


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
@pytest.mark.parametrize(("mode", "code"), [("soft", 0), ("hang", 1)])
def test_the_first_signal_asks_and_the_second_forces(kind: str, mode: str, code: int) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM, kind, mode], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGHUP)
        assert process.stdout.readline() == "reloaded\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "stopping\n"
        if mode == "hang":
            process.send_signal(signal.SIGINT)
        assert process.wait(10) == code


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"
    notify("READY=1")  # nobody listens any more: not our fault


def test_the_environment_chooses_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HSM_EVENT_LOOP", "asyncio")
    assert chosen_event_loop("uvloop") == "asyncio"
    monkeypatch.setenv("HSM_EVENT_LOOP", "trio")
    with pytest.raises(StartError, match="'trio' is unknown"):
        chosen_event_loop()
