from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire import kinds, limits
from hsm_wire.connection import Connection, agree_on, encode_failure
from hsm_wire.errors import LocalProtocolError, RemoteProtocolError
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.kinds import Flag, Kind
from hsm_wire.messages import Bind, Failure, Hello, Unbind, Welcome, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.states import TRANSITIONS, End, State
from hsm_wire.statuses import Status

Feed = Callable[[Connection, Iterable[bytes]], list[bytes]]
Cuts = Callable[[bytes], list[list[bytes]]]
OpenServer = Callable[..., Connection]

HELLO = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 256, "test")))
WELCOME = encode_frame(kinds.WELCOME, encode_body(Welcome(1, 1 << 20, 256, "test")))
GOAWAY = encode_frame(kinds.GOAWAY, b"\x90")
BIND = encode_frame(kinds.BIND, encode_body(Bind(7, "spiffe://x/client/a", 1, ["use"], b"", 0)))
UNBIND = encode_frame(kinds.UNBIND, encode_body(Unbind(7)))
PATHS: dict[State, list[tuple[End, int]]] = {
    State.NEW: [],
    State.GREETED: [(End.CLIENT, kinds.HELLO)],
    State.OPEN: [(End.CLIENT, kinds.HELLO), (End.SERVER, kinds.WELCOME)],
    State.SERVER_LEAVING: [(End.CLIENT, kinds.HELLO), (End.SERVER, kinds.WELCOME), (End.SERVER, kinds.GOAWAY)],
    State.CLIENT_LEAVING: [(End.CLIENT, kinds.HELLO), (End.SERVER, kinds.WELCOME), (End.CLIENT, kinds.GOAWAY)],
    State.BOTH_LEAVING: [
        (End.CLIENT, kinds.HELLO),
        (End.SERVER, kinds.WELCOME),
        (End.CLIENT, kinds.GOAWAY),
        (End.SERVER, kinds.GOAWAY),
    ],
    State.REFUSED: [(End.CLIENT, kinds.HELLO), (End.SERVER, kinds.RESPONSE)],
}


def request(request_id: int = 1, principal: int = 0) -> bytes:
    return encode_frame(kinds.REQUEST, b"\x90", request_id=request_id, principal=principal, opcode=Opcode.INFO)


def in_state(state: State, end: End) -> Connection:
    connection = Connection(end, binds=True)
    for sender, kind in PATHS.get(state, []):
        if sender is end:
            connection.sent(kind)
        else:
            assert len(connection.receive(encode_frame(kind, request_id=1))) == 1
    if state is State.BROKEN:
        connection.receive(bytes(4))
    assert connection.state is state
    return connection


def fault_of(connection: Connection) -> tuple[Status, str, int | None] | None:
    fault = connection.fault
    return None if fault is None else (fault.status, fault.detail, fault.request_id)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("sender", list(End))
@pytest.mark.parametrize("state", list(State))
def test_every_state_sender_and_kind_is_moved_or_refused_as_the_table_says(
    state: State, sender: End, kind: Kind
) -> None:
    receiver = in_state(state, End.SERVER if sender is End.CLIENT else End.CLIENT)
    after = TRANSITIONS.get((state, sender, kind))
    frames = receiver.receive(encode_frame(kind, request_id=5))
    if after is not None:
        assert len(frames) == 1
        assert receiver.state is after
        assert receiver.fault is None
    else:
        assert frames == []
        assert receiver.state is State.BROKEN
        if state is not State.BROKEN:
            assert receiver.fault is not None
            assert receiver.fault.status is Status.BAD_REQUEST
            assert kind.name in receiver.fault.detail
            assert state.value in receiver.fault.detail
            assert receiver.fault.request_id == 5


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("end", list(End))
@pytest.mark.parametrize("state", list(State))
def test_an_end_may_send_exactly_what_the_table_allows_it(state: State, end: End, kind: Kind) -> None:
    connection = in_state(state, end)
    after = TRANSITIONS.get((state, end, kind))
    if after is None:
        with pytest.raises(LocalProtocolError, match=f"{end.value} may not send {kind.name}"):
            connection.sent(kind)
        assert connection.state is state
    else:
        connection.sent(kind)
        assert connection.state is after


def test_both_ends_agree_on_the_state_after_every_frame_of_a_session() -> None:
    client, server = Connection(End.CLIENT, binds=False), Connection(End.SERVER, binds=False)
    for sender, frame in (
        (client, HELLO),
        (server, WELCOME),
        (client, request(1)),
        (client, encode_frame(kinds.PING, request_id=1)),
        (server, encode_frame(kinds.PONG, b"\x90", request_id=1)),
        (server, GOAWAY),
        (client, request(2)),
        (client, encode_frame(kinds.CANCEL, request_id=2)),
        (server, encode_frame(kinds.RESPONSE, b"\x90", request_id=1)),
        (client, GOAWAY),
        (server, encode_frame(kinds.RESPONSE, b"\x90", request_id=2)),
    ):
        sender.sent(frame[5])
        assert [f.raw for f in (server if sender is client else client).receive(frame)] == [frame]
        assert client.state is server.state
    assert server.in_flight == {1, 2}


STREAMS = {
    "request before HELLO": (b"", request(9), Status.BAD_REQUEST, 9),
    "second HELLO": (HELLO, HELLO, Status.BAD_REQUEST, 0),
    "request id 0": (HELLO, request(0), Status.BAD_REQUEST, 0),
    "principal from a client": (HELLO, request(9, principal=7), Status.DENIED, 9),
    "BIND from a client": (HELLO, BIND, Status.DENIED, 0),
    "UNBIND from a client": (HELLO, UNBIND, Status.DENIED, 0),
    "duplicate id": (HELLO, request(9) + request(8) + request(9), Status.DUPLICATE_ID, 9),
    "request after the client's GOAWAY": (HELLO, GOAWAY + request(9), Status.BAD_REQUEST, 9),
    "frame above the greeting's maximum before HELLO": (
        b"",
        encode_frame(kinds.HELLO, bytes(4096)),
        Status.TOO_LARGE,
        0,
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_broken_rule_is_answered_alike_in_any_cut(name: str, cuts: Cuts, feed: Feed) -> None:
    before, stream, status, request_id = STREAMS[name]
    ways = cuts(stream) if len(stream) < 500 else [[stream], [stream[:11], stream[11:]], [stream[:40], stream[40:]]]
    outcomes = []
    for pieces in ways:
        server = Connection(End.SERVER, binds=False)
        if before:
            server.receive(before)
            server.sent(kinds.WELCOME)
        frames = feed(server, pieces)
        outcomes.append((frames, fault_of(server), server.answer_to_fault()))
        assert server.receive(request(1000)) == []
        assert server.state is State.BROKEN
        assert server.buffered == 0
    assert all(outcome == outcomes[0] for outcome in outcomes)
    answer = FrameSplitter(1 << 20).split(outcomes[0][2])[0]
    assert (answer.kind, answer.status, answer.request_id) == (kinds.RESPONSE, status, request_id)
    assert decode_body(Failure, answer.body).detail == outcomes[0][1][1]  # type: ignore[index]  # every case has a fault


def test_frames_before_the_fault_are_handed_out_and_none_after(open_server: OpenServer) -> None:
    server = open_server()
    frames = server.receive(request(1) + request(2) + request(1) + request(3))
    assert [frame.request_id for frame in frames] == [1, 2]
    assert fault_of(server) == (Status.DUPLICATE_ID, "request 1 is in flight already", 1)


def test_a_rule_broken_before_a_malformed_frame_is_the_fault(open_server: OpenServer) -> None:
    server = open_server()
    assert server.receive(HELLO + bytes(32)) == []
    assert server.fault is not None
    assert "HELLO" in server.fault.detail


def test_a_malformed_frame_after_good_ones_breaks_the_connection(open_server: OpenServer) -> None:
    server = open_server()
    assert len(server.receive(request(1) + bytes(32))) == 1
    assert server.state is State.BROKEN
    answer = FrameSplitter(1 << 20).split(server.answer_to_fault())[0]
    assert answer.request_id == limits.CONNECTION_REQUEST_ID


def test_an_id_may_be_used_again_after_its_answer(open_server: OpenServer) -> None:
    server = open_server()
    server.receive(request(1))
    server.answered(1)
    server.answered(1)
    assert len(server.receive(request(1))) == 1


def test_a_proxy_may_bind_and_name_principals_at_a_node(open_server: OpenServer) -> None:
    server = open_server(binds=True)
    assert len(server.receive(BIND + request(1, principal=7) + UNBIND)) == 3
    assert server.fault is None


def test_frames_above_the_agreed_maximum_are_refused_and_below_it_taken(open_server: OpenServer) -> None:
    server = open_server()
    server.agree(10_000)
    good = encode_frame(kinds.REQUEST, bytes(10_000 - limits.MIN_LENGTH), request_id=1)
    assert len(server.receive(good)) == 1
    assert server.receive(encode_frame(kinds.REQUEST, bytes(10_001 - limits.MIN_LENGTH), request_id=2)) == []
    assert server.fault is not None
    assert server.fault.status is Status.TOO_LARGE


def test_incomplete_bytes_are_counted(open_server: OpenServer) -> None:
    server = open_server()
    server.receive(request(1)[:20])
    assert server.buffered == 20


def test_a_client_never_answers_a_fault_and_nobody_answers_none() -> None:
    client, server = Connection(End.CLIENT, binds=False), Connection(End.SERVER, binds=False)
    assert server.answer_to_fault() == b""
    client.receive(request(1))
    assert client.fault is not None
    assert client.answer_to_fault() == b""


@given(
    order=st.lists(
        st.sampled_from([HELLO, request(1), request(2), GOAWAY, BIND, bytes(9), request(3)[:-1]]), max_size=6
    ),
    size=st.integers(1, 40),
    binds=st.booleans(),
)
def test_any_conversation_gives_the_same_frames_and_fault_in_any_cut(
    order: list[bytes], size: int, binds: bool
) -> None:
    stream = b"".join(order)
    outcomes = []
    for step in (len(stream) or 1, 1, size):
        server = Connection(End.SERVER, binds=binds)
        server.receive(HELLO)
        server.sent(kinds.WELCOME)
        frames = [f.raw for i in range(0, len(stream), step) for f in server.receive(stream[i : i + step])]
        outcomes.append((frames, fault_of(server), server.state, server.in_flight))
    assert outcomes[0] == outcomes[1] == outcomes[2]


def test_a_failure_carries_all_that_the_caller_needs() -> None:
    raw = encode_failure(
        7, Status.OVERLOADED, "x" * 1000, opcode=Opcode.SIGN, operation_id=5, not_executed=True, retry_after_ms=50
    )
    frame = FrameSplitter(1 << 20).split(raw)[0]
    assert (frame.request_id, frame.status, frame.opcode, frame.operation_id) == (7, Status.OVERLOADED, Opcode.SIGN, 5)
    assert frame.flags == Flag.NOT_EXECUTED
    assert decode_body(Failure, frame.body) == Failure("x" * limits.MAX_DETAIL_CHARACTERS, 50)


@pytest.mark.parametrize("not_executed", [False, True])
@pytest.mark.parametrize("stale", [False, True])
def test_a_failure_carries_both_flags_each_for_itself(not_executed: bool, stale: bool) -> None:
    raw = encode_failure(7, Status.NOT_CURRENT, "", not_executed=not_executed, stale=stale)
    flags = FrameSplitter(1 << 20).split(raw)[0].flags
    assert (bool(flags & Flag.NOT_EXECUTED), bool(flags & Flag.STALE)) == (not_executed, stale)


def test_welcome_is_the_smaller_of_both_wishes() -> None:
    hello = Hello(1, 3, 100_000, 500, "peer")
    assert agree_on(hello, 1 << 20, 256, "me", "hash") == Welcome(1, 100_000, 256, "me", "hash")
    assert agree_on(hello, 8192, 1000, "me", "") == Welcome(1, 8192, 500, "me", "")


@pytest.mark.parametrize(
    ("hello", "status"),
    [
        (Hello(2, 3, 1 << 20, 1, ""), Status.UNSUPPORTED_VERSION),
        (Hello(0, 0, 1 << 20, 1, ""), Status.UNSUPPORTED_VERSION),
        (Hello(1, 0, 1 << 20, 1, ""), Status.UNSUPPORTED_VERSION),
        (Hello(1, 1, 4095, 1, ""), Status.BAD_REQUEST),
        (Hello(1, 1, 4096, 0, ""), Status.BAD_REQUEST),
    ],
)
def test_a_hello_that_makes_no_connection_is_refused(hello: Hello, status: Status) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        agree_on(hello, 1 << 20, 256, "me", "")
    assert caught.value.status is status


def test_nothing_is_held_after_a_broken_rule_even_where_the_next_frame_came_in_part() -> None:
    """Found by fuzzing: the rest of the chunk stayed in memory until the connection closed."""
    server = Connection(End.SERVER, binds=False)
    assert server.receive(request(9) + request(10)[:20]) == []
    assert server.fault is not None
    assert server.buffered == 0
