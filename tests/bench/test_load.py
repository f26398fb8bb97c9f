"""The load generators in C and in Python, against small servers that behave in all the ways a peer can."""

import contextlib
import json
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bench.native import Tools
from hsm_wire.limits import DEFAULT_MAX_IN_FLIGHT
from hsm_wire.messages import Hello, decode_body

HEADER = struct.Struct(">IBBHIIIHHQ")
HELLO, WELCOME, REQUEST, RESPONSE, PING, PONG = 1, 2, 3, 4, 5, 6
SECONDS = "0.15"
Send = Callable[[bytes], None]
Behaviour = Callable[[bytes, int, Send], None]
"""Takes a REQUEST's bytes, how many came before it, and how to send."""


def frame(kind: int, body: bytes = b"", request_id: int = 0, status: int = 0, operation_id: int = 0) -> bytes:
    return HEADER.pack(28 + len(body), 1, kind, 0, request_id, 0, 0, 0x0201, status, operation_id) + body


def answer(request: bytes, *, request_id: int | None = None, status: int = 0) -> bytes:
    fields = HEADER.unpack_from(request)
    return frame(RESPONSE, request[32:], fields[4] if request_id is None else request_id, status, fields[9])


class Server:
    """Greets, then leaves requests to a behaviour; one thread a connection."""

    def __init__(self, behave: Behaviour, max_in_flight: int = 256) -> None:
        self.behave = behave
        self.welcome = b"\x94\x01\xce\x00\x10\x00\x00\xcd" + max_in_flight.to_bytes(2, "big") + b"\xa1x"
        self.kinds: list[int] = []
        self.hellos: list[bytes] = []
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError, struct.error), connection.makefile("rb") as stream:
            while head := stream.read(4):
                got = head + stream.read(int.from_bytes(head, "big"))
                self.kinds.append(got[5])
                if got[5] == HELLO:
                    self.hellos.append(got)
                    connection.sendall(frame(WELCOME, self.welcome))
                elif got[5] == REQUEST:
                    self.requests.append(got)
                    self.behave(got, len(self.requests) - 1, connection.sendall)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._sockets):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in list(self._threads):
            thread.join(10)
        for connection in self._sockets:
            connection.close()


@contextlib.contextmanager
def serving(behave: Behaviour, max_in_flight: int = 256) -> Iterator[Server]:
    server = Server(behave, max_in_flight)
    try:
        yield server
    finally:
        server.close()


def measured(
    start: Callable[..., subprocess.Popen[str]], tools: Tools, server: Server, *options: str, seconds: str = SECONDS
) -> dict[str, Any]:
    load = start(*tools.load, "--port", str(server.port), *options)
    assert load.stdin is not None
    assert load.stdout is not None
    assert load.stdout.readline() == "connected\n"
    load.stdin.write(f"measure {seconds}\n")
    load.stdin.flush()
    result: dict[str, Any] = json.loads(load.stdout.readline())
    load.stdin.close()
    load.wait(10)
    return result


def echo(request: bytes, number: int, send: Send) -> None:
    send(answer(request))


def test_requests_are_those_asked_for_and_all_are_counted(start, tools) -> None:
    with serving(echo) as server:
        result = measured(start, tools, server, "--connections", "3", "--in-flight", "4", "--size", "200")
    assert result["requests"] == len(server.requests) > 12
    assert (result["errors"], result["errors_by_status"]) == (0, {})
    assert {len(request) for request in server.requests} == {200}
    fields = [HEADER.unpack_from(request) for request in server.requests]
    # Everything but request id and operation id.
    assert {found[:4] + found[5:9] for found in fields} == {(196, 1, REQUEST, 0, 0, 0, 0x0201, 0)}
    assert all(1 <= found[4] <= len(fields) for found in fields)
    assert result["throughput"] == pytest.approx(result["requests"] / result["seconds"], rel=0.01)


def test_a_body_comes_from_a_file_where_one_is_named(start, c_tools, tmp_path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(range(100)))
    with serving(echo) as server:
        assert measured(start, c_tools, server, "--body", str(body))["errors"] == 0
        assert {request[32:] for request in server.requests} == {bytes(range(100))}


def test_the_figures_have_the_names_that_the_harness_reads(start, tools) -> None:
    with serving(echo) as server:
        result = measured(start, tools, server, "--connections", "1")
    assert set(result) == {
        *("requests", "errors", "errors_by_status", "seconds", "throughput", "cpu_share"),
        *("p50_ms", "p90_ms", "p99_ms", "p99_9_ms", "max_ms"),
    }
    assert 0 < result["p50_ms"] <= result["p90_ms"] <= result["p99_ms"] <= result["p99_9_ms"] <= result["max_ms"]
    assert 0 < result["cpu_share"] < 2


@pytest.mark.parametrize("cut", [1, 4, 31, 32, 33, 127])
def test_an_answer_in_two_pieces_is_one_answer(start, tools, cut: int) -> None:
    def split(request: bytes, number: int, send: Send) -> None:
        whole = answer(request)
        send(whole[:cut])
        if number < 5:
            time.sleep(0.01)  # long enough to arrive alone
        send(whole[cut:])

    with serving(split) as server:
        result = measured(start, tools, server, "--connections", "1")
    assert result["errors"] == 0
    assert result["requests"] == len(server.requests) > 5


def test_many_answers_in_one_piece_and_out_of_order_are_all_taken(start, tools) -> None:
    held: list[bytes] = []

    def gather(request: bytes, number: int, send: Send) -> None:
        held.append(answer(request))
        if len(held) == 8:
            send(b"".join(reversed(held)))
            held.clear()

    with serving(gather) as server:
        # A round of eight is answered whole, so nothing is held back at the end either.
        result = measured(start, tools, server, "--connections", "1", "--in-flight", "8")
    assert result["errors"] == 0
    assert result["requests"] == len(server.requests) > 8


def test_hello_asks_for_the_usual_room_so_that_no_client_is_at_its_limit(start, tools) -> None:
    with serving(echo) as server:
        measured(start, tools, server, "--connections", "1", "--in-flight", "1")
    assert decode_body(Hello, server.hellos[0][32:]).max_in_flight == DEFAULT_MAX_IN_FLIGHT


def test_an_answer_under_another_id_is_an_error_and_ends_the_connection(start, tools) -> None:
    def wrong(request: bytes, number: int, send: Send) -> None:
        send(answer(request, request_id=4_000_000_000 if number == 20 else None))

    with serving(wrong) as server:
        result = measured(start, tools, server, "--connections", "1")
    assert result["errors_by_status"] == {"wrong_id": 1, "lost": 1}
    assert (result["requests"], result["errors"]) == (21, 2)


def test_an_answer_that_comes_twice_is_an_error(start, tools) -> None:
    with serving(lambda request, number, send: send(answer(request) * (2 if number == 20 else 1))) as server:
        result = measured(start, tools, server, "--connections", "1")
    assert result["errors_by_status"]["wrong_id"] == 1


def test_an_answer_with_another_operation_id_is_an_error(start, c_tools) -> None:
    def wrong(request: bytes, number: int, send: Send) -> None:
        whole = bytearray(answer(request))
        whole[24] ^= number == 20
        send(bytes(whole))

    with serving(wrong) as server:
        result = measured(start, c_tools, server, "--connections", "1")
    assert result["errors_by_status"]["wrong_id"] == 1


def test_failed_answers_are_counted_by_status_and_have_no_latency(start, tools) -> None:
    statuses = [0x0401, 0x0501, 0]

    def fail(request: bytes, number: int, send: Send) -> None:
        send(answer(request, status=statuses[number % 3]))

    with serving(fail) as server:
        result = measured(start, tools, server, "--connections", "1")
    count = len(server.requests)
    assert result["requests"] == count > 6
    assert result["errors_by_status"] == {"0x0401": (count + 2) // 3, "0x0501": (count + 1) // 3}
    assert result["errors"] == (count + 2) // 3 + (count + 1) // 3
    assert result["throughput"] * result["seconds"] == pytest.approx(count // 3, abs=0.1)


def test_requests_on_a_connection_that_breaks_are_lost(start, tools) -> None:
    def broken(request: bytes, number: int, send: Send) -> None:
        if number >= 20:
            raise OSError  # ends the thread, and close() the connection
        send(answer(request))

    def closing(server: Server) -> Behaviour:
        def behave(request: bytes, number: int, send: Send) -> None:
            if number == 20:
                server._sockets[0].shutdown(socket.SHUT_RDWR)
            else:
                send(answer(request))

        return behave

    with serving(broken) as server:
        server.behave = closing(server)
        result = measured(start, tools, server, "--connections", "1", "--in-flight", "1")
    assert result["errors_by_status"] == {"lost": 1}
    assert result["requests"] == 21


def test_requests_that_are_never_answered_are_errors_too(start, c_tools) -> None:
    def silent(request: bytes, number: int, send: Send) -> None:
        if number % 50 != 49:
            send(answer(request))

    with serving(silent) as server:
        result = measured(start, c_tools, server, "--connections", "2", "--in-flight", "2", "--drain", "1")
    assert result["errors_by_status"] == {"unanswered": 4}
    assert result["requests"] == len(server.requests)


def test_a_ping_is_answered(start, c_tools) -> None:
    def pinging(request: bytes, number: int, send: Send) -> None:
        send(frame(PING, request_id=77)[:20] + bytes(12) + answer(request))

    with serving(pinging) as server:
        result = measured(start, c_tools, server, "--connections", "1")
    assert result["errors"] == 0
    assert server.kinds.count(PONG) == len(server.requests)


def test_a_frame_of_impossible_length_ends_the_connection(start, c_tools) -> None:
    with serving(lambda request, number, send: send(b"\xff\xff\xff\xff" + answer(request)[4:])) as server:
        result = measured(start, c_tools, server, "--connections", "1")
    assert result["errors_by_status"] == {"lost": 1}


def test_the_open_loop_keeps_its_rate(start, c_tools) -> None:
    with serving(echo) as server:
        result = measured(start, c_tools, server, "--connections", "4", "--rate", "400", seconds="0.5")
    assert (result["requests"], result["errors"]) == (200, 0)
    assert len(server.requests) == 200


def test_the_open_loop_counts_latency_from_the_intended_start(start, c_tools) -> None:
    def stalling(request: bytes, number: int, send: Send) -> None:
        if number == 10:
            time.sleep(0.2)
        send(answer(request))

    with serving(stalling) as server:
        result = measured(start, c_tools, server, "--connections", "1", "--rate", "200", seconds="0.5")
    assert (result["requests"], result["errors"]) == (100, 0)
    # One connection with one request in flight: while it stalls, some 40 requests wait for their turn to be sent. A
    # closed loop would have seen one slow request of 100.
    assert result["p90_ms"] > 50
    assert result["max_ms"] > 190


def test_a_peer_that_takes_fewer_requests_in_flight_is_refused(start, c_tools) -> None:
    with serving(echo, max_in_flight=8) as server:
        load = start(*c_tools.load, "--port", str(server.port), "--in-flight", "16")
        errors = load.stderr.read()
        output = load.stdout.read()
    assert output == ""
    assert errors == "the peer takes 8 requests in flight on a connection, not 16\n"
    assert load.wait(10) == 1


def test_a_port_where_nobody_listens_is_told_in_a_line(start, c_tools) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    load = start(*c_tools.load, "--port", str(port), "--connections", "1")
    errors = load.stderr.read()  # its input stays open: the end of that would be a good end
    assert load.wait(10) == 1
    assert len(errors.splitlines()) == 1


def test_requests_carry_the_body_and_the_opcode_that_are_given(start, c_tools, tmp_path) -> None:
    (tmp_path / "body").write_bytes(b"what a node would take")
    with serving(echo) as server:
        options = ["--connections", "1", "--opcode", "515", "--body", str(tmp_path / "body")]
        result = measured(start, c_tools, server, *options)
    assert result["errors"] == 0
    assert {request[32:] for request in server.requests} == {b"what a node would take"}
    assert {HEADER.unpack_from(request)[7] for request in server.requests} == {515}


def test_handshakes_end_when_they_are_greeted_and_the_next_ones_begin(start, c_tools) -> None:
    with serving(echo) as server:
        result = measured(start, c_tools, server, "--connections", "2", "--handshakes")
    assert result["errors"] == 0
    assert server.requests == []
    # The first two were made before the run.
    assert len(server.hellos) == result["requests"] + 2 > 4


@pytest.mark.parametrize(
    "options", [["--connections", "0"], ["--size", "31"], ["--rate", "-1"], ["--in-flight"], ["--what", "1"], []]
)
def test_wrong_options_are_refused(start, c_tools, options: list[str]) -> None:
    load = start(*c_tools.load, *options)
    errors = load.stderr.read()  # its input stays open: the end of that would be a good end
    assert load.wait(10) == 1
    assert len(errors.splitlines()) == 1
