"""What systemd hears: READY, the status, reloads, and the watchdog's beats; from whom and until when."""

import asyncio
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm_daemon import service_manager
from hsm_daemon.service_manager import ServiceManager, notify, watchdog_limit_s


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(str(path))

    def heard(self) -> list[str]:
        """Return all messages since the last call."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return messages


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    manager = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    yield manager
    manager.socket.close()


@pytest.fixture
def watched(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    """A systemd that restarts whoever is silent for 40 ms."""
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    return systemd


@pytest.fixture
def daemon() -> Iterator[ServiceManager]:
    made = ServiceManager()
    yield made
    made.silence()


async def until_heard(systemd: Systemd, word: str) -> list[str]:
    """Return what was heard up to the first message with that word."""
    messages: list[str] = []
    async with asyncio.timeout(10):
        while not any(word in message for message in messages):
            await asyncio.sleep(0.005)
            messages += systemd.heard()
    return messages


def test_systemd_is_told_and_its_absence_is_no_fault(systemd: Systemd) -> None:
    notify("READY=1")
    assert systemd.heard() == ["READY=1"]
    systemd.socket.close()
    notify("READY=1")


@pytest.mark.parametrize(
    ("limit", "pid", "limit_s"),
    [
        ("3000000", os.getpid, 3.0),
        ("3000000", None, 3.0),
        ("3000000", os.getppid, None),
        ("0", None, None),
        ("", None, None),
        ("-5", None, None),
        ("many", None, None),
    ],
)
def test_a_watchdog_that_is_meant_for_another_process_is_none(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, limit: str, pid: Callable[[], int] | None, limit_s: float | None
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(pid()))
    assert watchdog_limit_s() == limit_s


async def test_the_loop_feeds_the_watchdog_from_ready_on(watched: Systemd, daemon: ServiceManager) -> None:
    await asyncio.sleep(0.05)
    assert watched.heard() == []
    daemon.ready(lambda: "serves")
    assert watched.heard() == ["READY=1\nSTATUS=serves", "WATCHDOG=1"]
    assert set(await until_heard(watched, "WATCHDOG=1")) == {"WATCHDOG=1"}
    daemon.stopping()
    assert "STOPPING=1" in watched.heard()
    await until_heard(watched, "WATCHDOG=1")  # what is finished is in order too


async def test_a_loop_that_stands_still_feeds_nothing(watched: Systemd, daemon: ServiceManager) -> None:
    daemon.ready(lambda: "serves")
    await until_heard(watched, "WATCHDOG=1")
    watched.heard()
    time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still
    assert watched.heard() == []
    await until_heard(watched, "WATCHDOG=1")


async def test_the_status_is_told_when_it_has_changed(
    systemd: Systemd, daemon: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_manager, "STATUS_EVERY_S", 0.01)
    nodes = 3
    daemon.ready(lambda: f"{nodes} nodes\nserve" + "." * 600)
    [first] = systemd.heard()
    assert first.startswith("READY=1\nSTATUS=3 nodes serve...")
    assert len(first) == len("READY=1\nSTATUS=") + service_manager.MAX_STATUS_CHARACTERS
    await asyncio.sleep(0.05)
    assert systemd.heard() == []
    nodes = 2
    [second] = await until_heard(systemd, "STATUS")
    assert second.startswith("STATUS=2 nodes serve")


async def test_a_status_that_cannot_be_made_does_not_end_the_beats(
    watched: Systemd, daemon: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: told.append(context["exception"]))
    broken = False

    def status() -> str:
        if broken:
            raise KeyError
        return "serves"

    daemon.ready(status)
    broken = True
    async with asyncio.timeout(10):
        while len(told) < 2:
            await asyncio.sleep(0.005)
    broken = False
    watched.heard()
    await until_heard(watched, "WATCHDOG=1")


async def test_a_reload_begins_now_and_ends_ready(systemd: Systemd, daemon: ServiceManager) -> None:
    before = time.monotonic()
    daemon.ready(lambda: "serves")
    with daemon.reloading():
        pass
    _ready, reloading, done = systemd.heard()
    words, _, moment = reloading.partition("\nMONOTONIC_USEC=")
    assert (words, done) == ("RELOADING=1", "READY=1")
    assert before * 1e6 - 1 <= int(moment) <= time.monotonic() * 1e6


async def test_a_failed_reload_is_shown_until_one_succeeds(systemd: Systemd, daemon: ServiceManager) -> None:
    daemon.ready(lambda: "serves")
    with daemon.reloading() as failed:
        failed("key file is missing")
    assert systemd.heard()[-1] == (
        "READY=1\nSTATUS=serves; the last reload failed, everything stayed as it was: key file is missing"
    )
    with daemon.reloading():
        pass
    assert [message for message in systemd.heard() if "STATUS=serves" in message]


async def test_a_reload_before_ready_and_one_while_it_stops_say_nothing(
    systemd: Systemd, daemon: ServiceManager
) -> None:
    with daemon.reloading() as failed:
        failed("too early")
    assert systemd.heard() == []
    daemon.ready(lambda: "serves")
    daemon.stopping()
    systemd.heard()
    with daemon.reloading():
        pass
    assert systemd.heard() == []


async def test_who_has_a_successor_feeds_its_watchdog_no_more(watched: Systemd, daemon: ServiceManager) -> None:
    daemon.ready(lambda: "serves")
    watched.heard()
    daemon.succeeded_by(4711)
    assert watched.heard() == ["MAINPID=4711"]
    await asyncio.sleep(0.1)
    daemon.stopping()
    daemon.ready(lambda: "still here")
    with daemon.patient(1.0), daemon.reloading():
        pass
    assert watched.heard() == []


async def test_the_watchdog_waits_for_what_may_take_long(
    watched: Systemd, daemon: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon.patient(120.0):
        assert watched.heard() == ["WATCHDOG_USEC=120000000\nWATCHDOG=1"]
    assert watched.heard() == ["WATCHDOG_USEC=40000\nWATCHDOG=1"]
    monkeypatch.delenv("WATCHDOG_USEC")
    with daemon.patient(120.0):
        pass
    assert watched.heard() == []
