"""Invariant: what a header says is read back as it was written, under any re-addressing; HELLO and WELCOME agree on
what both ends wished, or one documented error says why not.

Input: one byte that chooses header or greeting, then the 27 bytes of a header's fields and a body; or the two limits
of the server and the body of a HELLO. Run: see `run.py`.
"""

import sys
from collections.abc import Callable

from fuzz_input import Input

from hsm_wire import kinds, limits
from hsm_wire.connection import Connection, agree_on, encode_failure
from hsm_wire.errors import BodyError, RemoteProtocolError
from hsm_wire.frames import Frame, FrameSplitter, encode_frame, readdress_request, readdress_response
from hsm_wire.messages import Failure, Hello, Welcome, decode_body, encode_body
from hsm_wire.states import End, State
from hsm_wire.statuses import Status

Agree = Callable[[Hello, int, int, str, str], Welcome]
FIELDS = ("flags", "request_id", "timeout_ms", "principal", "opcode", "status", "operation_id")
WIDTHS = (2, 4, 4, 4, 2, 2, 8)


def split_one(raw: bytes) -> Frame | None:
    splitter = FrameSplitter(limits.DEFAULT_MAX_FRAME_BYTES)
    frames = splitter.split(raw)
    assert len(frames) + (splitter.fault is not None) == 1, "one frame is one frame or one fault"
    assert not splitter.buffered, "a whole frame leaves nothing behind"
    return frames[0] if frames else None


def header(source: Input) -> None:
    kind = 1 + source.number() % len(kinds.Kind)
    written = dict(zip(FIELDS, map(source.number, WIDTHS), strict=True))
    body = source.rest()
    frame = split_one(encode_frame(kind, body, **written))
    if frame is None:
        return
    assert (frame.kind, frame.body) == (kind, body), "another frame is read"
    assert all(getattr(frame, name) == value for name, value in written.items()), "another header is read"
    if kind == kinds.REQUEST:
        again = split_one(readdress_request(frame, 7, 8, 9))
        assert again is not None
        assert (again.request_id, again.timeout_ms, again.principal) == (7, 8, 9)
        assert (again.opcode, again.operation_id, again.body) == (frame.opcode, frame.operation_id, body)
    elif kind == kinds.RESPONSE:
        again = split_one(readdress_response(frame, 7))
        assert again is not None
        changed = {name: getattr(again, name) for name in FIELDS} | {"request_id": frame.request_id}
        assert changed == written, "more than the id was changed"
        assert (again.request_id, again.body) == (7, body)


def refused(error: RemoteProtocolError) -> None:
    """What an error says fits into an answer that the other end can read."""
    assert error.status in (Status.UNSUPPORTED_VERSION, Status.BAD_REQUEST)
    frame = split_one(encode_failure(0, error.status, error.detail))
    assert frame is not None
    assert decode_body(Failure, frame.body).detail == error.detail[: limits.MAX_DETAIL_CHARACTERS]


def greeting(source: Input, agree: Agree) -> None:
    max_frame_bytes = limits.GREETING_MAX_FRAME_BYTES + source.number(3)
    max_in_flight = 1 + source.number(2)
    try:
        hello = decode_body(Hello, source.rest())
        welcome = agree(hello, max_frame_bytes, max_in_flight, "server", "00")
    except BodyError:
        return
    except RemoteProtocolError as error:
        refused(error)
        return
    assert hello.min_version <= welcome.version <= hello.max_version
    assert limits.GREETING_MAX_FRAME_BYTES <= welcome.max_frame_bytes <= min(hello.max_frame_bytes, max_frame_bytes)
    assert 1 <= welcome.max_in_flight <= min(hello.max_in_flight, max_in_flight)
    raw = encode_frame(kinds.WELCOME, encode_body(welcome))
    client = Connection(End.CLIENT, binds=False)
    client.sent(kinds.HELLO)
    [frame] = client.receive(raw)
    assert client.state is State.OPEN
    assert decode_body(Welcome, frame.body) == welcome, "the client reads another WELCOME"


def one(data: bytes, agree: Agree = agree_on) -> None:
    """Check one input; `agree` is there for the negative control."""
    source = Input(data)
    if source.number() & 1:
        greeting(source, agree)
    else:
        header(source)


if __name__ == "__main__":
    import run

    run.inside("greeting", sys.argv[1:])
