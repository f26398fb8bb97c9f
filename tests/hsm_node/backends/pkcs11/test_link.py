"""The node's end of the device: what is lost comes back."""

import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.channel import Channel
from hsm_node.backends.pkcs11.core.return_values import SESSION_COUNT
from hsm_node.backends.pkcs11.link import DeviceLink
from hsm_node.backends.pkcs11.opening import OpenedDevice
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

RANDOM = messages.Random(16)
PATIENCE_S = 120.0


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def own_link(open_link: Callable[..., DeviceLink]) -> DeviceLink:
    return open_link("two", 3)


def process_of(link: DeviceLink) -> int:
    process = link.process_id
    assert process is not None
    return process


def refused(link: DeviceLink, limit_s: float) -> Status | None:
    try:
        link.ask(RANDOM, limit_s)
    except Refusal as refusal:
        return refusal.status
    return None


def test_many_threads_get_their_own_answers(link: DeviceLink) -> None:
    answers: list[int] = []

    def ask(length: int) -> None:
        for _ in range(20):
            answer = link.ask(messages.Random(length))
            assert isinstance(answer, messages.Done)
            answers.append(len(answer.data) - length)

    threads = [threading.Thread(target=ask, args=(length,)) for length in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [0] * 160


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_process_that_dies_or_hangs_is_replaced(own_link: DeviceLink, how: signal.Signals) -> None:
    before = process_of(own_link)
    os.kill(before, how)
    status = None
    while status is None:  # A process may answer once more before the signal ends it.
        status = refused(own_link, 0.5)
    assert status is Status.DEVICE_ERROR
    wait_for(lambda: not own_link.reason)
    assert process_of(own_link) != before
    assert own_link.losses == 1
    assert isinstance(own_link.ask(RANDOM), messages.Done)
    assert isinstance(own_link.ask_on_loop(RANDOM), messages.Done)


def test_while_the_device_is_gone_nobody_waits(own_link: DeviceLink) -> None:
    own_link.close()
    for ask in (own_link.ask, own_link.ask_on_loop):
        with pytest.raises(Refusal, match="gone") as raised:
            ask(RANDOM)
        assert raised.value.not_executed
    assert own_link.process_id is None


def test_without_a_free_session_it_is_overloaded_and_not_executed(own_link: DeviceLink) -> None:
    os.kill(process_of(own_link), signal.SIGSTOP)
    threads = [threading.Thread(target=refused, args=(own_link, 30.0)) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_for(lambda: not own_link.idle)
    with pytest.raises(Refusal, match="at work") as raised:
        own_link.ask(RANDOM, 0.01)
    assert (raised.value.status, raised.value.not_executed) == (Status.OVERLOADED, True)
    own_link.close()
    for thread in threads:
        thread.join()


def test_a_link_that_is_closed_waits_for_no_device(own_link: DeviceLink, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(threading.enumerate())
    monkeypatch.setattr("hsm_node.backends.pkcs11.link.next_wait_s", lambda *_: 10 * PATIENCE_S)
    os.kill(process_of(own_link), signal.SIGKILL)
    wait_for(lambda: refused(own_link, 0.5) is not None and own_link.process_id is None)
    [bringing] = [thread for thread in set(threading.enumerate()) - before if thread.name == "device"]
    own_link.close()
    bringing.join(PATIENCE_S)
    assert not bringing.is_alive()
    assert own_link.reason == "the node is stopping"


class Scripted:
    """A device whose lines answer, but for those that have no session. Stands for a process as well."""

    pid = 1

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.gives = wanted
        self.refusing: set[int] = set()
        self.asked: list[int] = []
        self._ends: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def open(self) -> OpenedDevice:
        pairs = [socket.socketpair() for _ in range(self.gives)]
        self._ends += [end for pair in pairs for end in pair]
        for number, (_, end) in enumerate(pairs):
            self._threads.append(threading.Thread(target=self._serve, args=(number, Channel(end)), daemon=True))
            self._threads[-1].start()
        seen, begun = messages.Seen("t", "1", "m", 0, ()), messages.Begun(self.gives, ())
        return OpenedDevice(self, [Channel(pair[0]) for pair in pairs], seen, begun, self.wanted)  # type: ignore[arg-type]

    def kill(self) -> None:
        """End every line, as the end of a process does."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def end(self) -> int:
        self.kill()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for end in self._ends:
            end.close()
        self._ends.clear()
        return 0

    def _serve(self, number: int, line: Channel) -> None:
        while line.receive():
            self.asked.append(number)
            full = messages.Failed(SESSION_COUNT, "C_OpenSession")
            line.send(messages.encoder.encode(full if number in self.refusing else messages.Done(b"")))


def told(caplog: pytest.LogCaptureFixture) -> int:
    return sum("another number of sessions" in record.message for record in caplog.records)


def test_a_session_that_the_device_has_no_room_for_is_left_alone_and_the_call_is_made_in_another(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Scripted(5)
    link = DeviceLink(device.open)
    assert (link.sessions, told(caplog)) == (4, 0)
    device.refusing = {3, 4}
    for _ in range(5):
        assert isinstance(link.ask(RANDOM), messages.Done)
    assert (link.sessions, link.idle) == (2, 2)
    assert sorted(device.asked)[-2:] == [3, 4], "each was asked once"
    assert told(caplog) == 2, "one line for each session less"
    monkeypatch.setattr("hsm_node.backends.pkcs11.link.RETIRED_S", 0.0)
    link.ask(RANDOM)
    assert (link.sessions, link.idle) == (4, 4)
    device.refusing = {1, 2, 3, 4}
    monkeypatch.undo()
    with pytest.raises(Refusal) as refused:
        link.ask(RANDOM)
    assert (refused.value.status, refused.value.not_executed) == (Status.OVERLOADED, True)
    assert link.sessions == 1, "the last one has to do"
    link.close()


def test_a_device_that_is_opened_anew_may_give_other_numbers_of_sessions(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hsm_node.backends.pkcs11.link.next_wait_s", lambda *_: 0.0)
    caplog.set_level("INFO", "hsm_node.device")
    device = Scripted(5)
    device.gives = 3
    link = DeviceLink(device.open)
    assert (link.sessions, told(caplog)) == (2, 1)
    for gives, lines in ((3, 1), (5, 2), (5, 2)):
        device.gives, before = gives, link.losses
        process = link._process
        assert process is not None
        link._lose(process, "it is taken away")
        wait_for(lambda: not link.reason)
        assert (link.losses, link.sessions, told(caplog)) == (before + 1, gives - 1, lines)
    link.close()
