"""Both ends of a channel in one loop."""

import asyncio

import pytest

from proxy.config import Sources
from proxy.workers import channel
from proxy.workers.channel import first_message, open_channel, pair
from proxy.workers.messages import (
    LENGTH_BYTES,
    MAX_MESSAGE_BYTES,
    Begin,
    FromParent,
    FromWorker,
    Hint,
    MalformedError,
    Page,
    Serving,
    encode,
)

BEGIN = Begin(1, 2, 0.0, False, Sources(b"a", b"b"), Sources(b"a", b"b"), [])


class End:
    """Keeps what comes."""

    def __init__(self):
        self.got = []
        self.ended = asyncio.Event()
        self.channel = None

    async def open(self, sock, form):
        self.channel = await open_channel(sock, form, self.got.append, self.ended.set)
        return self

    async def until(self, count):
        async with asyncio.timeout(10):
            while len(self.got) < count:
                await asyncio.sleep(0.001)
        return self.got


@pytest.fixture
async def ends():
    ours, theirs = pair()
    both = await End().open(ours, FromWorker), await End().open(theirs, FromParent)
    yield both
    for end in both:
        end.channel.close()
    async with asyncio.timeout(10):
        await asyncio.gather(*(end.ended.wait() for end in both))


async def test_both_ends_hear_each_other(ends):
    parent, worker = ends
    assert parent.channel.send(Hint("n1"))
    body = bytes(3 << 20)
    assert worker.channel.send(Page(1, 200, "text/plain", body))
    assert worker.channel.send(Serving("1"))
    assert await worker.until(1) == [Hint("n1")]
    assert await parent.until(2) == [Page(1, 200, "text/plain", body), Serving("1")]


async def test_the_end_of_one_is_told_to_the_other_and_nothing_can_be_sent_then(ends):
    parent, worker = ends
    worker.channel.close()
    async with asyncio.timeout(10):
        await parent.ended.wait()
        await worker.ended.wait()
    assert not parent.channel.send(Hint("n1"))
    assert not worker.channel.send(Serving("1"))


async def test_what_a_process_that_stands_still_makes_the_other_hold_is_bounded(ends, monkeypatch):
    monkeypatch.setattr(channel, "MAX_UNSENT_BYTES", 1 << 20)
    parent, worker = ends
    worker.channel._transport.pause_reading()
    sent = 0
    while parent.channel.send(Page(sent, 200, "text/plain", bytes(100_000))):
        sent += 1
        assert sent < 100
    worker.channel._transport.resume_reading()
    async with asyncio.timeout(10):
        await worker.ended.wait()  # a parent says no such thing: that is nonsense to a worker
        await parent.ended.wait()


async def test_nonsense_ends_a_channel(ends):
    parent, worker = ends
    worker.channel._transport.write((MAX_MESSAGE_BYTES + 1).to_bytes(LENGTH_BYTES, "big"))
    async with asyncio.timeout(10):
        await parent.ended.wait()
        await worker.ended.wait()


def test_the_first_message_is_read_without_a_loop():
    ours, theirs = pair()
    with ours, theirs:
        ours.sendall(encode(BEGIN) + b"rest")
        assert first_message(theirs) == BEGIN
        assert theirs.recv(10) == b"rest"


@pytest.mark.parametrize("sent", [b"", b"\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01\xc0", encode(Hint("n"))])
def test_a_parent_that_says_nothing_that_makes_sense_is_none(sent):
    ours, theirs = pair()
    with theirs:
        ours.sendall(sent)
        ours.close()
        with pytest.raises(MalformedError):
            first_message(theirs)


def test_a_parent_that_is_silent_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(channel, "BEGIN_LIMIT_S", 0.01)
    ours, theirs = pair()
    with ours, theirs, pytest.raises(MalformedError, match="did not come"):
        first_message(theirs)


async def test_a_message_that_fails_does_not_end_what_else_is_said(ends, caplog):
    parent, worker = ends

    def take(message):
        if message.node == "bad":
            raise ValueError
        worker.got.append(message)

    worker.channel._take = take
    parent.channel.send(Hint("bad"))
    parent.channel.send(Hint("n1"))
    assert await worker.until(1) == [Hint("n1")]
    assert "a message between parent and worker failed" in caplog.text
