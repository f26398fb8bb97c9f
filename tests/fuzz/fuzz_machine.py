"""Invariant: two ends that keep the rules never find a fault in each other, in any order and cut; with foreign bytes
on the wire the end that reads them is broken for good; both are the same whatever the cut; only LocalProtocolError
is raised, and only by `sent`.

Input: one byte of options, then steps of two or more bytes: an end sends, reads some of what is under way, answers a
request, or reads foreign bytes. Run: see `run.py`.
"""

import sys
from collections.abc import Callable, Iterator

from fuzz_input import Input

from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.errors import LocalProtocolError
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.states import End, State

Make = Callable[..., Connection]
MAX_FRAME_BYTES = 8192
BINDS = 1


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    return (data[at : at + step] for at in range(0, len(data), step))


class Wire:
    """Two ends and what is under way between them."""

    def __init__(self, *, binds: bool, step: int, make: Make) -> None:
        self.ends = {end: make(end, binds=binds) for end in End}
        self.under_way = {end: bytearray() for end in End}
        """By reader."""
        self.foreign: set[End] = set()
        """Readers of bytes that the other end did not send."""
        self.log: list[object] = []
        self._step = step
        self._next_id = 1

    def send(self, end: End, source: Input) -> None:
        kind, size = 1 + source.number() % len(kinds.Kind), source.number()
        connection = self.ends[end]
        try:
            connection.sent(kind)
        except LocalProtocolError:
            self.log.append((end, "may not send", kind))
            return
        request_id = 0
        if kind == kinds.REQUEST:
            request_id = self._next_id
            self._next_id += 1
        elif kind in (kinds.BIND, kinds.UNBIND) and not connection.binds:
            self.foreign.add(connection.peer)  # the table allows it on any hop; who sends it there breaks a rule
        if kind == kinds.WELCOME:
            connection.agree(MAX_FRAME_BYTES)
        self.under_way[connection.peer] += encode_frame(kind, b"x" * (size * 8), request_id=request_id)

    def answer(self, end: End, source: Input) -> None:
        connection = self.ends[end]
        waiting = sorted(connection.in_flight)
        if not waiting or connection.state in (State.BROKEN, State.REFUSED):
            return
        request_id = waiting[source.number() % len(waiting)]
        connection.answered(request_id)
        self.under_way[connection.peer] += encode_frame(kinds.RESPONSE, request_id=request_id)

    def read(self, end: End, size: int) -> None:
        data = bytes(self.under_way[end][:size])
        del self.under_way[end][:size]
        self.receive(end, data)

    def receive(self, end: End, data: bytes) -> None:
        connection = self.ends[end]
        for piece in pieces(data, self._step):
            broken = connection.fault is not None
            frames = connection.receive(piece)
            assert not (broken and frames), "a broken end reads on"
            for frame in frames:
                self.log.append((end, frame.raw))
                if frame.kind == kinds.WELCOME:
                    connection.agree(MAX_FRAME_BYTES)
            assert connection.buffered <= MAX_FRAME_BYTES + 4, "too much is held"
        self.check(connection)

    def check(self, connection: Connection) -> None:
        fault = connection.fault
        self.log.append((connection.end, connection.state, sorted(connection.in_flight), connection.buffered))
        if fault is None:
            assert connection.state is not State.BROKEN
            return
        self.log.append((fault.status, fault.detail, fault.request_id, connection.answer_to_fault()))
        assert connection.state is State.BROKEN
        assert not connection.buffered, "a broken end holds bytes"
        for kind in kinds.Kind:
            try:
                connection.sent(kind)
            except LocalProtocolError:
                continue
            raise AssertionError(f"a broken end may send {kind.name}")
        answer = connection.answer_to_fault()
        assert bool(answer) == (connection.end is End.SERVER)
        if answer:
            [frame] = FrameSplitter(MAX_FRAME_BYTES).split(answer)
            assert frame.status, "a fault is answered as a success"


def outcome(data: bytes, step: int, make: Make) -> list[object]:
    source = Input(data)
    wire = Wire(binds=bool(source.number() & BINDS), step=step, make=make)
    while source.more:
        choice = source.number()
        end = End.SERVER if choice & 1 else End.CLIENT
        action = choice >> 1 & 3
        if action == 0:
            wire.send(end, source)
        elif action == 1:
            wire.read(end, source.number(2) if choice & 8 else 1 << 20)
        elif action == 2:
            wire.answer(end, source)
        elif choice & 8:
            wire.foreign.add(end)
            wire.receive(end, source.frame() if choice & 16 else source.take(source.number() + 1))
    for end in End:
        wire.read(end, 1 << 30)
    # A refusal may cross what the client has sent already: nothing follows it, whatever it meets.
    if not wire.foreign and all(connection.state is not State.REFUSED for connection in wire.ends.values()):
        for end, connection in wire.ends.items():
            assert connection.fault is None, f"the {end.value} finds a fault in an end that keeps the rules"
    return wire.log


def one(data: bytes, make: Make = Connection) -> None:
    """Check one input; `make` is there for the negative control."""
    whole = outcome(data, 1 << 30, make)
    assert whole == outcome(data, 1, make), "byte by byte differs from whole"
    assert whole == outcome(data, 7, make), "pieces differ from whole"


if __name__ == "__main__":
    import run

    run.inside("machine", sys.argv[1:])
