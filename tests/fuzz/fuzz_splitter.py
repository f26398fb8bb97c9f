"""Invariant: any stream, in any cut, gives the same frames and the same fault; nothing is raised; nothing is held
but one incomplete frame below the maximum; and the frames are the stream, unchanged.

Input: one byte of options, one byte that sizes the pieces, the stream. Run: see `run.py`.
"""

import sys
from collections.abc import Callable

from hsm_wire import kinds, limits
from hsm_wire.connection import Connection
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.states import End

MAX_FRAME_BYTES = 300
"""Small, so that the fuzzer meets the limit."""
BINDS, GREETED, AS_CLIENT = 1, 2, 4
Outcome = tuple[list[bytes], object, object, int, bytes]


def greeted(options: int, make: Callable[..., Connection]) -> Connection:
    connection = make(End.CLIENT if options & AS_CLIENT else End.SERVER, binds=bool(options & BINDS))
    if options & GREETED:
        for sender, kind in ((End.CLIENT, kinds.HELLO), (End.SERVER, kinds.WELCOME)):
            if sender is connection.end:
                connection.sent(kind)
            else:
                connection.receive(encode_frame(kind))
        connection.agree(MAX_FRAME_BYTES)
    return connection


def outcome(stream: bytes, step: int, options: int, make: Callable[..., Connection]) -> Outcome:
    connection = greeted(options, make)
    frames = []
    for offset in range(0, len(stream), step):
        for frame in connection.receive(stream[offset : offset + step]):
            repr(frame)
            frames.append(frame.raw)
        assert connection.buffered <= limits.GREETING_MAX_FRAME_BYTES + limits.LENGTH_FIELD_BYTES, "too much is held"
    fault = connection.fault
    seen = None if fault is None else (fault.status, fault.detail, fault.request_id)
    return frames, seen, connection.state, connection.buffered, connection.answer_to_fault()


def one(data: bytes, make: Callable[..., Connection] = Connection) -> None:
    """Check one input; `make` is there for the negative control."""
    if len(data) < 2:
        return
    options, step, stream = data[0], data[1] + 1, data[2:]
    whole = outcome(stream, len(stream) + 1, options, make)
    assert whole == outcome(stream, 1, options, make), "byte by byte differs from whole"
    assert whole == outcome(stream, step, options, make), "pieces differ from whole"
    frames, fault, _state, buffered, answer = whole
    assert stream.startswith(b"".join(frames)), "frames are not the stream"
    if fault is None:
        assert len(b"".join(frames)) + buffered == len(stream), "bytes were lost"
    if answer:
        [frame] = FrameSplitter(limits.GREETING_MAX_FRAME_BYTES).split(answer)
        assert frame.kind == kinds.RESPONSE
        assert frame.status


if __name__ == "__main__":
    import run

    run.inside("splitter", sys.argv[1:])
