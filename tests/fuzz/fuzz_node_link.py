"""Invariant: whatever a proxy sends to a node, and whenever work ends, time passes or the peer stops reading: nothing
is raised, every request has one answer and never two, all that is sent are legal frames, and no more is held than the
agreed window and one frame.

Input: one byte of options, then steps: frames, raw bytes, ends of work, time, GOAWAY. Run: see `run.py`.
"""

import sys
from collections import Counter
from typing import Any

from fuzz_input import AS_PROXY, BODIES, Input
from still_world import StillLoop, StillTransport, still_world

from hsm_node.core.refusal import Refusal
from hsm_node.net.link import Link
from hsm_node.net.slow_requests import SlowRequests
from hsm_node.service.request import Request
from hsm_wire import kinds, limits
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Hello
from hsm_wire.statuses import Status

MAX_FRAME_BYTES = 8192
HELLO_LIMIT_S = 2.0


class Host:
    """A node that works when the script says so."""

    cluster = "t"
    max_frame_bytes = MAX_FRAME_BYTES
    pong_body = BODIES[7]

    def __init__(self, options: int) -> None:
        self.current = True
        self.slow = SlowRequests()
        self.work: list[Request] = []
        self.ends = 0
        self.admits = options & 3

    def admit(self, link: Link, transport: Any) -> str | None:
        if self.admits == 2:
            raise Refusal(Status.OVERLOADED, "full")
        return None if self.admits == 3 else "spiffe://t/proxy/p" * (self.admits & 1)

    def serve(self, request: Request) -> None:
        self.work.append(request)
        if request.operation_id & 1:
            request.withdraw = lambda: self.take_out(request)
        if request.operation_id & 2:
            self.finish(len(self.work) - 1, 9)  # at once, in the callback that brought it

    def take_out(self, request: Request) -> bool:
        if request in self.work:
            self.work.remove(request)
            return True
        return False

    def finish(self, index: int, choice: int) -> None:
        if not self.work:
            return
        request = self.work.pop(index % len(self.work))
        for _ in range(1 + (choice & 1)):  # whoever tries second must not be heard
            if choice & 2:
                request.refuse(Refusal(Status.KEY_NOT_FOUND, "no key"))
            else:
                request.succeed(b"x" * (choice * 40))

    def stalled(self) -> bool:
        return False

    def welcome(self, hello: Hello) -> tuple[str, str]:
        return "node-1", "00"

    def follow(self) -> None:
        """Nothing to follow."""

    def served(self, requests: int, seconds: float) -> None:
        assert requests > 0

    def answered(self, opcode: int, status: int, *, done: bool) -> None:
        """Nothing to count."""

    def answered_stale(self) -> None:
        assert not self.current

    def pong(self) -> bytes:
        return self.pong_body

    def closed(self, link: Link) -> None:
        self.ends += 1


def frames_of(data: bytes) -> tuple[list[Frame], bool]:
    splitter = FrameSplitter(limits.HARD_MAX_FRAME_BYTES)
    return splitter.split(data), splitter.fault is None


def step(source: Input, loop: StillLoop, transport: StillTransport, link: Link, host: Host) -> None:
    choice = source.number()
    action = choice & 15
    if action <= 5:
        transport.feed(source.frame(AS_PROXY))
    elif action == 6:
        transport.feed(b"".join(source.frame(AS_PROXY) for _ in range(1 + (choice >> 4))))
    elif action == 7:
        transport.feed(source.take(source.number()))
    elif action <= 9:
        host.finish(source.number(), choice >> 4)
    elif action == 10:
        loop.advance(source.number() / 32)
    elif action == 11:
        link.leave("the node stops")
    elif action == 12:
        transport.end()
    elif action == 13:
        host.current = not host.current
    elif action == 14:
        transport.stuck = True
    else:
        transport.read()
    loop.settle()


def check(transport: StillTransport, link: Link, *, alive: bool) -> None:
    sent, legal = frames_of(bytes(transport.written))
    assert legal, "what was sent is malformed"
    counts = Counter(frame.kind for frame in sent)
    assert counts[kinds.WELCOME] <= 1
    assert counts[kinds.GOAWAY] <= 1
    assert set(counts) <= {kinds.WELCOME, kinds.GOAWAY, kinds.PONG, kinds.RESPONSE}
    answers = Counter(frame.request_id for frame in sent if frame.kind == kinds.RESPONSE)
    received, _ = frames_of(bytes(transport.delivered))
    may_fail = (kinds.REQUEST, kinds.BIND, kinds.UNBIND, kinds.HELLO)
    asked = Counter(frame.request_id for frame in received if frame.kind in may_fail)
    owed = Counter(frame.request_id for frame in received if frame.kind == kinds.REQUEST)
    fault = link._connection.fault
    if fault is not None:
        asked[fault.request_id or 0] += 1
    for request_id, count in answers.items():
        assert count <= asked[request_id], f"request {request_id} has two answers"
    if alive:
        assert all(answers[request_id] >= count for request_id, count in owed.items()), "a request has no answer"


def one(data: bytes, make: type[Link] = Link) -> None:
    """Check one input; `make` is there for the negative control."""
    source = Input(data)
    with still_world("hsm_node", "node") as loop:
        host = Host(source.number())
        link = make(host, HELLO_LIMIT_S)
        transport = StillTransport(loop, link)
        opening = source.number()
        if opening & 1:
            transport.feed(encode_frame(kinds.HELLO, BODIES[4 if opening & 2 else 3]))
            transport.feed(encode_frame(kinds.BIND, BODIES[10]))
        while source.more:
            step(source, loop, transport, link, host)
            assert link.in_flight <= link._max_in_flight, "more in flight than agreed"
            assert link._connection.buffered <= MAX_FRAME_BYTES + limits.LENGTH_FIELD_BYTES, "too much is held"
        transport.read()
        while host.work:
            host.finish(0, 0)
        loop.settle()
        check(transport, link, alive=not transport.is_closing() and not link._ending)
        link.abort()
        loop.advance(60)
        assert host.ends == 1, "the end was not told once"
        assert not link.in_flight, "a lost connection holds requests"


if __name__ == "__main__":
    import run

    run.inside("node_link", sys.argv[1:])
