"""Listeners that outlive a process: inherited, handed over, and what goes wrong on the way."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hsm_daemon import handover
from hsm_daemon.errors import StartError
from hsm_daemon.handover import HandoverError, Successor, hand_over, inherited, ready
from hsm_daemon.lifecycle import Lifecycle
from hsm_daemon.listening import address_of, bind

DAEMON = """
import asyncio, os, sys
from hsm_daemon import logs
from hsm_daemon.accepting import Acceptor
from hsm_daemon.handover import hand_over, inherited, ready
from hsm_daemon.lifecycle import run
from hsm_daemon.listening import address_of, take
from hsm_daemon.pace import Pace
from hsm_daemon.tasks import spawn

class Pid(asyncio.Protocol):
    def connection_made(self, transport):
        open_ones.add(self)
        self.transport = transport
        transport.write(b"%d\\n" % os.getpid())
    def data_received(self, data):
        self.transport.write(data)
    def connection_lost(self, exc):
        open_ones.discard(self)
open_ones = set()

async def main(life):
    listener = take(inherited(), "client", "127.0.0.1", 0, 100)
    acceptor = Acceptor(Pid, Pace(10_000.0, 1000, 1000), context=None, handshake_s=1.0, closing_s=1.0, room=None,
                        refused=print)
    acceptor.start(listener)
    life.on_upgrade(lambda: spawn(hand_over(life, {"client": listener}), "hand over"))
    print("serving", address_of(listener)[1], os.getpid(), flush=True)
    life.ready("up")
    ready()
    await life.stopping.wait()
    acceptor.stop(close=True)
    await acceptor.settled()
    while open_ones:
        await asyncio.sleep(0.01)
logs.configure("test")
sys.exit(run(main, sys.argv[1]))
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with bind("127.0.0.1", 0, 5) as made:
        yield made


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """No open file and no child process is left, dead or alive."""
    await asyncio.sleep(0)
    before = set(os.listdir("/proc/self/fd"))
    yield
    async with asyncio.timeout(5):
        while children():
            await asyncio.sleep(0.01)
    assert opened_since(before) == set()


def children() -> bool:
    """Say whether this process has any, zombies included; they are left to who reaps them."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def opened_since(before: set[str]) -> set[str]:
    """Return what is open and was not; libuv keeps a descriptor of the null device in reserve."""
    left = set()
    for number in set(os.listdir("/proc/self/fd")) - before:
        with contextlib.suppress(FileNotFoundError):
            left.add(os.readlink(f"/proc/self/fd/{number}"))
    return left - {"/dev/null"}


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


# ---- inheriting


def test_listeners_of_systemd_are_found_by_name(monkeypatch: pytest.MonkeyPatch, listener: socket.socket) -> None:
    os.dup2(listener.fileno(), 200)
    os.dup2(listener.fileno(), 201)
    monkeypatch.setattr(handover, "FIRST_SYSTEMD_FD", 200)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_FDNAMES", "client:admin")
    found = inherited()
    assert {name: (one.fileno(), one.get_inheritable(), one.gettimeout()) for name, one in found.items()} == {
        "client": (200, False, 0.0),
        "admin": (201, False, 0.0),
    }
    assert all(address_of(one) == address_of(listener) for one in found.values())
    assert not any(name.startswith("LISTEN_") for name in os.environ)
    assert inherited() == {}
    for one in found.values():
        one.close()


def test_what_is_meant_for_another_process_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getppid()))
    monkeypatch.setenv("LISTEN_FDS", "1")
    assert inherited() == {}
    assert "LISTEN_FDS" not in os.environ


@pytest.mark.parametrize(
    ("count", "names", "words"),
    [
        ("x", None, "not a number"),
        ("-1", None, "not a number"),
        ("17", None, "not a number up to 16"),
        ("2", "client", "does not name as many"),
        ("2", "client:client", "two inherited sockets are named 'client'"),
        ("2", None, "two inherited sockets are named 'unknown'"),
        ("3", "a:b:c", r"open file 202 \(c\) is no socket"),
        ("4", "a:b:d:c", "202"),
    ],
)
def test_what_systemd_cannot_have_meant_is_named(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket, count: str, names: str | None, words: str
) -> None:
    os.dup2(listener.fileno(), 200)
    os.dup2(listener.fileno(), 201)
    monkeypatch.setattr(handover, "FIRST_SYSTEMD_FD", 200)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    if names is not None:
        monkeypatch.setenv("LISTEN_FDNAMES", names)
    with pytest.raises(StartError, match=words):
        inherited()
    for number in (200, 201):
        with contextlib.suppress(OSError):
            os.close(number)


def test_a_socket_that_does_not_listen_is_refused_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as other:
            monkeypatch.setattr(handover, "FIRST_SYSTEMD_FD", other.fileno())
            monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
            monkeypatch.setenv("LISTEN_FDS", "1")
            with pytest.raises(StartError, match="not a listening TCP socket"):
                inherited()
            os.fstat(other.fileno())


def test_our_own_variable_gives_listeners_and_the_pipe(
    monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv(handover.VARIABLE, f"client={os.dup(listener.fileno())};ready={writing}")
    found = inherited()
    assert address_of(found["client"]) == address_of(listener)
    assert not os.get_inheritable(writing)
    assert handover.VARIABLE not in os.environ
    ready()
    ready()  # once is enough
    assert os.read(reading, 100) == handover.READY
    assert os.read(reading, 100) == b""
    os.close(reading)
    found["client"].close()


def test_a_predecessor_that_is_gone_is_no_fault_of_the_successor(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reading, writing = os.pipe()
    monkeypatch.setenv(handover.VARIABLE, f";ready={writing}")
    assert inherited() == {}
    os.close(reading)
    ready()
    assert "does not listen" in caplog.text


@pytest.mark.parametrize(
    "text",
    ["", "client", "client=7", "client=x;ready=9", "a=1b=2;ready=9", "client=7;ready=", ";ready=0", "a=1,;ready=9"],
)
def test_a_malformed_variable_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(handover.VARIABLE, text)
    with pytest.raises(StartError, match="unset it"):
        inherited()
    assert handover.VARIABLE not in os.environ


# ---- a successor


SAYS_READY = "from hsm_daemon.handover import inherited, ready; print(sorted(inherited()), flush=True); ready();"


async def test_a_successor_that_is_ready_is_left_running_and_reaped_when_it_ends(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    argv = python(SAYS_READY + "import time; time.sleep(60)")
    pid = await Successor.start({"client": listener, "admin": listener}, argv=argv)
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(5):
        while "the successor has ended" not in caplog.text:
            await asyncio.sleep(0.01)


async def test_a_successor_takes_over_the_watchdog(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    asks = "from hsm_daemon.service_manager import watchdog_limit_s; raise SystemExit(int(watchdog_limit_s() or 0))"
    await Successor.start({"client": listener}, argv=python(SAYS_READY + asks))
    async with asyncio.timeout(5):
        while "the successor has ended" not in caplog.text:
            await asyncio.sleep(0.01)
    [ended] = [record for record in caplog.records if record.message == "the successor has ended"]
    assert ended.fields["code"] == 3  # type: ignore[attr-defined]  # of the logs' own making


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise SystemExit(2)", r"ended before it was ready \(exit code 2\)"),
        ("import os; os.kill(os.getpid(), 9)", r"exit code -9"),
        ("import time; time.sleep(60)", "not ready within 0.5 s and was ended"),
        ("import os, time; os.closerange(3, 400); time.sleep(60)", "ended before it was ready;"),
        (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
            "not ready within 0.5 s",
        ),
    ],
)
async def test_a_successor_that_does_not_become_ready_is_ended_and_the_reason_told(
    listener: socket.socket, code: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "TERM_LIMIT_S", 0.3)
    monkeypatch.setattr(handover, "EXIT_CODE_LIMIT_S", 2.0 if "exit code" in words else 0.1)
    with pytest.raises(HandoverError, match=words):
        await Successor.start({"client": listener}, argv=python(code), limit_s=0.5 if "not ready" in words else 5.0)
    assert listener.fileno() != -1


async def test_a_program_that_is_missing_is_named(listener: socket.socket) -> None:
    with pytest.raises(HandoverError, match="/none/such cannot be started: No such file"):
        await Successor.start({"client": listener}, argv=["/none/such"])


async def test_listeners_that_cannot_be_handed_over_are_refused(listener: socket.socket) -> None:
    with pytest.raises(ValueError, match="name"):
        await Successor.start({"a;b": listener}, argv=python(""))
    listener.close()
    with pytest.raises(HandoverError, match="closed already"):
        await Successor.start({"client": listener}, argv=python(""))


async def test_a_second_start_at_the_same_time_is_refused_with_one_line(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    slow = python(SAYS_READY.replace("ready();", "import time; time.sleep(60)"))
    first = asyncio.ensure_future(Successor.start({"client": listener}, argv=slow))
    await asyncio.sleep(0)
    assert not await hand_over(Lifecycle(), {"client": listener}, argv=slow)
    assert [record.message for record in caplog.records] == ["no hot restart"]
    first.cancel()  # and who was started does not outlive that
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_who_is_told_to_stop_meanwhile_leaves_no_successor_behind(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    lifecycle = Lifecycle()
    going_on = asyncio.ensure_future(
        hand_over(lifecycle, {"client": listener}, argv=python("import time; time.sleep(60)"))
    )
    await asyncio.sleep(0.1)
    lifecycle.leave()
    assert not await asyncio.wait_for(going_on, 5)
    assert "no hot restart" in caplog.text


async def test_handing_over_stops_this_process_and_tells_systemd(
    listener: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        lifecycle = Lifecycle()
        assert await hand_over(lifecycle, {"client": listener}, argv=python(SAYS_READY))
        assert lifecycle.stopping.is_set()
        assert manager.recv(100).startswith(b"MAINPID=")


# ---- whole processes


async def pid_served(port: int) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return int(await asyncio.wait_for(reader.readline(), 10))
    finally:
        writer.close()
        await writer.wait_closed()


def daemon(kind: str) -> "subprocess.Popen[str]":
    command = [*python(DAEMON), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, text=True)


async def test_ten_hot_restarts_lose_no_connection_and_old_ones_are_served_to_their_end() -> None:
    kind = "uvloop" if "uvloop" in type(asyncio.get_running_loop()).__module__ else "asyncio"
    with daemon(kind) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().split()[1])
        served: list[int] = []
        stop = asyncio.Event()

        async def connect_all_the_time() -> None:
            while not stop.is_set():
                served.append(await pid_served(port))

        try:
            load = [asyncio.ensure_future(connect_all_the_time()) for _ in range(4)]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert int(await reader.readline()) == process.pid
            current = process.pid
            for _ in range(10):
                os.kill(current, signal.SIGUSR2)
                line = await asyncio.to_thread(process.stdout.readline)
                current = int(line.split()[2])
                async with asyncio.timeout(10):
                    while served[-1] != current:
                        await asyncio.sleep(0.01)
            writer.write(b"still there\n")
            assert await reader.readline() == b"still there\n"
            writer.close()
            await writer.wait_closed()
            assert await asyncio.to_thread(process.wait, 10) == 0
            stop.set()
            await asyncio.gather(*load)  # raises what any of them met
        finally:
            stop.set()
            os.killpg(process.pid, signal.SIGTERM)
        assert len(set(served)) == 11
        assert await asyncio.to_thread(process.stdout.read) == ""
