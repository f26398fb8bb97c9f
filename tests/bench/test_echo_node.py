"""The echo nodes in C and in Python: what a proxy and a client may expect of them."""

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator

import pytest

from bench.native import Tools
from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Failure, Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.states import End

CHECK = 0x0004
SIGN = 0x0201


class Talk:
    """A client that speaks through hsm_wire, so that a malformed answer is noticed."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self._connection = Connection(End.CLIENT, binds=True)
        self._connection.sent(kinds.HELLO)
        self._frames: list[Frame] = []

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Frame:
        while not self._frames:
            data = self.socket.recv(65536)
            assert data, "the node closed the connection"
            self._frames += self._connection.receive(data)
            assert self._connection.fault is None
        return self._frames.pop(0)

    def greet(self) -> Welcome:
        self.send(encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 256, "test"))))
        return self.welcome()

    def welcome(self) -> Welcome:
        welcome = decode_body(Welcome, self.receive().body)
        self._connection.agree(welcome.max_frame_bytes)
        return welcome


@pytest.fixture
def talk(start, tools: Tools) -> Iterator[Callable[..., Talk]]:
    """Starts nodes with options, connects to the first."""
    open_talks: list[Talk] = []

    def begin(*options: str) -> Talk:
        process = start(*tools.echo_node, *options, "node-1", "node-2")
        ports = json.loads(process.stdout.readline())
        assert list(ports) == ["node-1", "node-2"]
        open_talks.append(Talk(ports["node-1"]))
        return open_talks[-1]

    yield begin
    for each in open_talks:
        each.socket.close()


def test_hello_is_answered_with_welcome(talk) -> None:
    welcome = talk().greet()
    assert (welcome.version, welcome.max_frame_bytes, welcome.max_in_flight) == (1, 1 << 20, 8192)


def test_a_request_comes_back_with_its_ids_and_its_body(talk) -> None:
    client = talk()
    client.greet()
    ids = {"request_id": 7, "timeout_ms": 900, "principal": 3, "opcode": SIGN, "operation_id": 9}
    client.send(encode_frame(kinds.REQUEST, b"body", **ids))
    found = client.receive()
    assert (found.kind, found.flags, found.timeout_ms, found.principal) == (kinds.RESPONSE, 0, 0, 0)
    assert found.request_id == 7
    assert (found.opcode, found.status, found.operation_id, found.body) == (SIGN, 0, 9, b"body")


def test_frames_that_come_byte_by_byte_are_answered_too(talk) -> None:
    client = talk()
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 256, "test")))
    for byte in hello:
        client.send(bytes([byte]))
        time.sleep(0.0005)  # long enough to arrive alone, mostly
    client.welcome()
    request = encode_frame(kinds.REQUEST, b"abc", request_id=1, opcode=SIGN)
    for byte in request * 2:
        client.send(bytes([byte]))
    assert [client.receive().body, client.receive().body] == [b"abc", b"abc"]


def test_a_large_body_comes_back_whole(talk) -> None:
    client = talk()
    client.greet()
    body = bytes(range(256)) * 4000
    client.send(encode_frame(kinds.REQUEST, body, request_id=1, opcode=SIGN))
    assert client.receive().body == body


def test_ping_is_answered_with_a_window_that_binds_nobody_and_with_progress(talk) -> None:
    client = talk()
    client.greet()
    client.send(encode_frame(kinds.REQUEST, b"x", request_id=1, opcode=SIGN) + encode_frame(kinds.PING, request_id=5))
    client.receive()
    found = client.receive()
    pong = decode_body(Pong, found.body)
    assert (found.kind, found.request_id) == (kinds.PONG, 5)
    assert (pong.completed, pong.queue_depth, pong.state, pong.administrative_state) == (1, 0, "up", "ready")
    assert pong.window >= 8192
    assert len(pong.boot_id) == 16


def test_the_window_can_be_set(talk) -> None:
    client = talk("--window", "17")
    client.greet()
    client.send(encode_frame(kinds.PING, request_id=1))
    assert decode_body(Pong, client.receive().body).window == 17


def test_a_deep_check_is_an_unknown_operation(talk) -> None:
    client = talk()
    client.greet()
    client.send(encode_frame(kinds.REQUEST, b"\x91\xc4\x00", request_id=2, opcode=CHECK, operation_id=4))
    found = client.receive()
    assert (found.status, found.request_id, found.operation_id) == (0x0102, 2, 4)
    assert decode_body(Failure, found.body).detail == "no CHECK"


def test_bind_and_cancel_are_not_answered(talk) -> None:
    client = talk()
    client.greet()
    client.send(encode_frame(kinds.BIND, b"\x90") + encode_frame(kinds.CANCEL, request_id=3))
    client.send(encode_frame(kinds.PING, request_id=8))
    assert client.receive().kind == kinds.PONG


def test_a_frame_of_impossible_length_ends_the_connection(start, c_tools: Tools) -> None:
    process = start(*c_tools.echo_node, "node-1")
    port = json.loads(process.stdout.readline())["node-1"]
    for length in (27, (1 << 20) + 1, 0xFFFFFFFF):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(struct.pack(">IB", length, 1) + bytes(27))
            assert client.recv(1) == b""


def test_an_answer_that_is_given_answers_everything(start, c_tools: Tools, tmp_path) -> None:
    (tmp_path / "answer").write_bytes(b"always this")
    process = start(*c_tools.echo_node, "--answer", str(tmp_path / "answer"), "node-1")
    talk = Talk(json.loads(process.stdout.readline())["node-1"])
    talk.greet()
    talk.send(encode_frame(kinds.REQUEST, b"anything", request_id=7, opcode=SIGN, operation_id=9))
    found = talk.receive()
    talk.socket.close()
    assert (found.request_id, found.operation_id, found.body) == (7, 9, b"always this")


def test_the_nodes_end_with_their_standard_input(start, c_tools: Tools) -> None:
    process = start(*c_tools.echo_node, "node-1")
    process.stdout.readline()
    process.stdin.close()
    assert process.wait(10) == 0


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_in_redis_set_is_answered_with_its_value(start, c_tools: Tools, pieces: int) -> None:
    process = start(*c_tools.echo_node, "--redis", "node-1")
    port = json.loads(process.stdout.readline())["node-1"]
    command = b"*3\r\n$3\r\nSET\r\n$2\r\nid\r\n$5\r\nva\r\nl\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = command * 3
        for offset in range(0, len(stream), pieces * 7):
            client.sendall(stream[offset : offset + pieces * 7])
            time.sleep(0.001)
        with client.makefile("rb") as answers:
            assert answers.read(33) == b"$5\r\nva\r\nl\r\n" * 3


def test_in_redis_anything_else_ends_the_connection(start, c_tools: Tools) -> None:
    process = start(*c_tools.echo_node, "--redis", "node-1")
    port = json.loads(process.stdout.readline())["node-1"]
    for words in (b"PING\r\n", b"*1\r\n$-4\r\n", b"*1\r\n$99999999999\r\n", b"*" + b"1" * 40):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            client.sendall(words)
            assert client.recv(1) == b""
