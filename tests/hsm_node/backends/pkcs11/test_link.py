"""The node's end of the device: what is lost comes back."""

import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from hsm_node.backends.pkcs11 import messages
from hsm_node.backends.pkcs11.link import DeviceLink
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
