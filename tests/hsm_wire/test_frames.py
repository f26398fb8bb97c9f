import itertools
import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire import frames, kinds, limits
from hsm_wire.frames import HEADER, FrameSplitter, encode_frame, readdress_request, readdress_response
from hsm_wire.kinds import Flag, Kind
from hsm_wire.statuses import Status

Outcome = tuple[list[bytes], tuple[Status, str, int | None] | None]
REQUEST = encode_frame(
    kinds.REQUEST, b"\x91\x10", request_id=9, timeout_ms=5000, principal=7, opcode=2, operation_id=1 << 60
)
RESPONSE = encode_frame(kinds.RESPONSE, b"\x90", flags=3, request_id=9, opcode=2, status=0x0301, operation_id=5)
PING = encode_frame(kinds.PING, request_id=1)


def outcome(pieces: Iterable[bytes], maximum: int = 1 << 20) -> Outcome:
    splitter = FrameSplitter(maximum)
    frames = [frame.raw for piece in pieces for frame in splitter.split(piece)]
    fault = splitter.fault
    return frames, None if fault is None else (fault.status, fault.detail, fault.request_id)


def patched(offset: int, value: str, frame: bytes = REQUEST) -> bytes:
    new = bytes.fromhex(value)
    return frame[:offset] + new + frame[offset + len(new) :]


def chunks(stream: bytes, sizes: list[int]) -> list[bytes]:
    pieces, offset = [], 0
    for size in itertools.cycle(sizes or [1]):
        if offset >= len(stream):
            return pieces
        pieces.append(stream[offset : offset + size])
        offset += size
    return pieces


MALFORMED = {
    "length below a header": (patched(0, "0000001b"), Status.BAD_REQUEST, None),
    "length 0": (patched(0, "00000000"), Status.BAD_REQUEST, None),
    "length of 4 GiB": (patched(0, "ffffffff"), Status.TOO_LARGE, 9),
    "length one above the maximum": (patched(0, "00100001"), Status.TOO_LARGE, 9),
    "version 0": (patched(4, "00"), Status.UNSUPPORTED_VERSION, 9),
    "version 2": (patched(4, "02"), Status.UNSUPPORTED_VERSION, 9),
    "kind 0": (patched(5, "00"), Status.BAD_REQUEST, 9),
    "kind 11": (patched(5, "0b"), Status.BAD_REQUEST, 9),
    "kind 255": (patched(5, "ff"), Status.BAD_REQUEST, 9),
    "a response's flag in a request": (patched(6, "0001"), Status.BAD_REQUEST, 9),
    "unknown flag in a request": (patched(6, "0010"), Status.BAD_REQUEST, 9),
    "two durabilities in a request": (patched(6, "000c"), Status.BAD_REQUEST, 9),
    "status in a request": (patched(22, "0001"), Status.BAD_REQUEST, 9),
    "a request's flag in a response": (patched(6, "0004", RESPONSE), Status.BAD_REQUEST, 9),
    "highest flag in a response": (patched(6, "8000", RESPONSE), Status.BAD_REQUEST, 9),
    "timeout in a response": (patched(12, "00000001", RESPONSE), Status.BAD_REQUEST, 9),
    "principal in a response": (patched(16, "00000001", RESPONSE), Status.BAD_REQUEST, 9),
    "flags in a ping": (patched(6, "0001", PING), Status.BAD_REQUEST, 1),
    "timeout in a ping": (patched(12, "00000001", PING), Status.BAD_REQUEST, 1),
    "principal in a ping": (patched(16, "00000001", PING), Status.BAD_REQUEST, 1),
    "opcode in a ping": (patched(20, "0001", PING), Status.BAD_REQUEST, 1),
    "status in a ping": (patched(22, "0001", PING), Status.BAD_REQUEST, 1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_is_refused_alike_in_any_cut(name: str, cuts: Callable[[bytes], list[list[bytes]]]) -> None:
    frame, status, request_id = MALFORMED[name]
    stream = PING + frame + RESPONSE
    for pieces in cuts(stream):
        frames, fault = outcome(pieces)
        assert frames == [PING]
        assert fault is not None
        assert (fault[0], fault[2]) == (status, request_id)
        assert fault == outcome([stream])[1]


def test_good_frames_come_out_alike_in_any_cut(cuts: Callable[[bytes], list[list[bytes]]]) -> None:
    for pieces in cuts(REQUEST + PING + RESPONSE):
        assert outcome(pieces) == ([REQUEST, PING, RESPONSE], None)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Streams of good and slightly damaged frames."""
    good = st.builds(
        lambda kind, body, request_id: encode_frame(kind, body, request_id=request_id),
        st.sampled_from(list(Kind)),
        st.binary(max_size=40),
        st.integers(0, 0xFFFF_FFFF),
    )
    damaged = st.builds(
        lambda frame, offset, value: patched(offset, f"{value:02x}", frame),
        good,
        st.integers(0, 31),
        st.integers(0, 255),
    )
    return b"".join(draw(st.lists(st.one_of(good, good, damaged, st.binary(max_size=40)), max_size=6)))


@given(stream=streams(), sizes=st.lists(st.integers(1, 50), max_size=10))
def test_any_stream_gives_the_same_frames_and_the_same_fault_in_any_cut(stream: bytes, sizes: list[int]) -> None:
    whole = outcome([stream], 64)
    assert outcome([stream[i : i + 1] for i in range(len(stream))], 64) == whole
    assert outcome(chunks(stream, sizes), 64) == whole
    assert stream.startswith(b"".join(whole[0]))


def test_frame_has_the_headers_fields_and_the_bytes_as_they_came() -> None:
    frame = FrameSplitter(1 << 20).split(REQUEST)[0]
    fields = (frame.kind, frame.flags, frame.request_id, frame.timeout_ms, frame.principal, frame.opcode, frame.status)
    assert fields == (kinds.REQUEST, 0, 9, 5000, 7, 2, 0)
    assert (frame.operation_id, frame.raw) == (1 << 60, REQUEST)
    assert frame.body == b"\x91\x10"


@given(header=st.binary(min_size=limits.HEADER_BYTES, max_size=limits.HEADER_BYTES), before=st.integers(0, 9))
def test_the_compiled_build_reads_the_fields_that_struct_unpacks(header: bytes, before: int) -> None:
    assert frames._read_fields(bytes(before) + header, before) == frames._FIELDS.unpack(header)


def test_header_is_32_bytes_big_endian() -> None:
    assert HEADER.size == limits.HEADER_BYTES == 32
    assert REQUEST.hex() == "0000001e0103000000000009000013880000000700020000" + "10" + "00" * 7 + "9110"


def test_frame_at_the_maximum_is_taken() -> None:
    frame = encode_frame(kinds.REQUEST, bytes(100 - limits.MIN_LENGTH), request_id=1)
    assert outcome([frame], 100) == ([frame], None)
    assert outcome([frame], 99)[1] is not None


def test_a_length_of_4_gib_takes_no_memory() -> None:
    splitter = FrameSplitter(1 << 20)
    tracemalloc.start()
    try:
        assert splitter.split(b"\xff\xff\xff\xff") == []
        assert splitter.buffered == 4
        assert splitter.split(REQUEST[4:12]) == []
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert splitter.fault is not None
    assert splitter.fault.status is Status.TOO_LARGE
    assert splitter.buffered == 0
    assert peak < 16_384


def test_splitter_is_deaf_after_a_fault_and_holds_nothing() -> None:
    splitter = FrameSplitter(1 << 20)
    assert splitter.split(bytes(4)) == []
    fault = splitter.fault
    assert splitter.split(PING) == []
    assert splitter.fault is fault
    assert splitter.buffered == 0


def test_at_most_one_incomplete_frame_is_held() -> None:
    splitter = FrameSplitter(1 << 20)
    assert len(splitter.split(PING * 5 + REQUEST[:-1])) == 5
    assert splitter.buffered == len(REQUEST) - 1
    assert len(splitter.split(REQUEST[-1:])) == 1
    assert splitter.buffered == 0


def test_maximum_may_be_raised_while_a_frame_is_incomplete() -> None:
    splitter = FrameSplitter(64)
    large = encode_frame(kinds.REQUEST, bytes(100), request_id=1)
    splitter.split(large[:8])
    splitter.max_frame_bytes = 1000
    assert [frame.raw for frame in splitter.split(large[8:])] == [large]


@pytest.mark.parametrize("kind", list(Kind))
def test_repr_of_a_frame_shows_no_body(kind: Kind) -> None:
    frame = FrameSplitter(1 << 20).split(encode_frame(kind, b"hunter2-secret", request_id=3))[0]
    assert "hunter2" not in repr(frame)
    assert b"hunter2".hex() not in repr(frame)
    assert kind.name in repr(frame)
    assert "<14 bytes>" in repr(frame)


@pytest.mark.parametrize("flags", [0, int(Flag.DURABLE_QUORUM), int(Flag.DURABLE_DR)])
def test_request_is_readdressed_with_its_flags_its_body_and_its_operation_id(flags: int) -> None:
    frame = FrameSplitter(1 << 20).split(patched(6, f"{flags:04x}"))[0]
    expected = encode_frame(
        kinds.REQUEST,
        b"\x91\x10",
        flags=flags,
        request_id=77,
        timeout_ms=4990,
        principal=3,
        opcode=2,
        operation_id=1 << 60,
    )
    assert readdress_request(frame, 77, 4990, 3) == expected


def test_response_is_readdressed_and_nothing_else_changes() -> None:
    frame = FrameSplitter(1 << 20).split(RESPONSE)[0]
    assert readdress_response(frame, 0xDEADBEEF) == patched(8, "deadbeef", RESPONSE)


def test_an_incomplete_frame_is_let_go_when_nobody_will_complete_it() -> None:
    splitter = FrameSplitter(1 << 20)
    splitter.split(REQUEST[:-1])
    splitter.discard()
    assert splitter.buffered == 0
