"""A worker as a process: here a small program that says what it was given."""

import asyncio
import os
import socket
import sys

import pytest

from hsm_daemon.errors import StartError
from hsm_daemon.listening import bind
from proxy.config import Sources
from proxy.workers import child as module
from proxy.workers.child import VARIABLE, Child, adopted
from proxy.workers.messages import Begin, Hint, Serving

BEGIN = Begin(3, 4, 0.0, False, Sources(b"", b""), Sources(b"", b""), [])
PROGRAM = """
import os, sys, time
from proxy.workers.channel import first_message
from proxy.workers.child import adopted
from proxy.workers.messages import Serving, encode
channel, listener = adopted()
begin = first_message(channel)
names = [name for name in os.environ if name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "HSM_WORKER")]
said = f"{begin.number} {listener.getsockname()[1]} {names}"
channel.sendall(encode(Serving(said)))
channel.setblocking(True)
channel.recv(1)
time.sleep(60)
"""


class Watched:
    """A child, what it said, and how it ended."""

    def __init__(self):
        self.said = []
        self.code = asyncio.get_running_loop().create_future()
        self.child = Child(self.said.append, self.code.set_result)

    async def until_said(self):
        async with asyncio.timeout(20):
            while not self.said:
                await asyncio.sleep(0.005)
        return self.said[0]


@pytest.fixture
def listener():
    with bind("127.0.0.1", 0, 1) as sock:
        yield sock


async def test_a_worker_has_a_channel_and_the_socket_and_nothing_of_systemd(listener, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", PROGRAM])
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setattr(module, "KILL_AFTER_S", 0.05)
    watched = Watched()
    watched.child.start(BEGIN, listener)
    assert await watched.until_said() == Serving(f"3 {listener.getsockname()[1]} []")
    assert watched.child.pid > 0
    assert watched.child.send(Hint("n1"))
    watched.child.end()
    watched.child.end()
    assert await asyncio.wait_for(watched.code, 20) == -6
    assert not watched.child.send(Hint("n1"))
    watched.child.kill()


async def test_a_program_that_is_not_there_is_said(listener, monkeypatch):
    monkeypatch.setattr(sys, "orig_argv", ["/nowhere/python"])
    with pytest.raises(StartError, match="no worker: /nowhere/python cannot be started"):
        Watched().child.start(BEGIN, listener)


async def test_what_waits_until_the_channel_is_open_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "MAX_EARLY", 2)
    child = Watched().child
    assert [child.send(Hint("n1")) for _ in range(3)] == [True, True, False]
    child.end()
    child.kill()
    assert child.pid == 0


def test_who_was_not_started_as_a_worker_is_none(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert adopted() is None


@pytest.mark.parametrize("text", ["", "nonsense", "channel=1", "channel=999999,client=999999"])
def test_what_the_environment_says_wrongly_is_said_in_one_line(text, monkeypatch):
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(StartError, match="unset it"):
        adopted()
    assert VARIABLE not in os.environ


def test_adopted_sockets_are_closed_to_programs_that_are_started(monkeypatch):
    one, two = socket.socketpair()
    numbers = [os.dup(one.fileno()), os.dup(two.fileno())]
    monkeypatch.setenv(VARIABLE, f"channel={numbers[0]},client={numbers[1]}")
    with one, two:
        found = adopted()
        assert found is not None
        for sock in found:
            assert not sock.get_inheritable()
            sock.close()
