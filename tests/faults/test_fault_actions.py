"""Each fault kind does what its name says, seen from a raw socket."""

import os
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from fake_keys import is_check_answer, is_signed
from fault_processes import NodeProcess
from fault_queue import fault
from node_actions import ACTIONS
from raw import BIND, GOAWAY, HEADER, HELLO, HELLO_BODY, PING, PONG, REQUEST, RESPONSE, WELCOME, RawConnection, frame

from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

KEY_ID = bytes(range(16))
CKM_ECDSA_SHA256 = 0x1044
DATA = b"to be signed"
SIGN_BODY = [KEY_ID, CKM_ECDSA_SHA256, None, DATA]
QUIET_S = 0.12  # long enough for an answer on loopback that would come


def sign(client: RawConnection, request_id: int = 1, operation_id: int = 77, **fields: Any) -> None:
    client.send(
        frame(REQUEST, SIGN_BODY, opcode=Opcode.SIGN, request_id=request_id, operation_id=operation_id, **fields)
    )


def ping(client: RawConnection) -> list[Any]:
    client.send(frame(PING, request_id=5))
    answer = client.receive()
    assert answer.kind == PONG
    return answer.body


def read_end(client: RawConnection) -> tuple[bytes, str]:
    """Return all bytes until the end, and how it ended."""
    return read_socket(client.socket)


def read_socket(source: socket.socket) -> tuple[bytes, str]:
    data = b""
    try:
        while more := source.recv(65_536):
            data += more
    except ConnectionResetError:
        return data, "rst"
    except TimeoutError:
        return data, "open"
    return data, "fin"


def read_end_below_tls(client: RawConnection) -> tuple[bytes, str]:
    """Do the same with the records of TLS as they come: Python's ssl module takes a RST for an end like any other."""
    with socket.socket(fileno=os.dup(client.socket.fileno())) as below:
        below.settimeout(3)
        return read_socket(below)


def quiet(client: RawConnection) -> bytes:
    """Return what comes within a moment; the connection stays open."""
    client.socket.settimeout(QUIET_S)
    data, end = read_end(client)
    assert end == "open"
    client.socket.settimeout(3)
    return data


# The honest node


def test_an_honest_node_signs_checks_and_reports(node: NodeProcess, client: RawConnection) -> None:
    client.send(frame(BIND, [7, "spiffe://test/client/app", 1, ["use"], b"", 0]))
    signed = client.request(Opcode.SIGN, SIGN_BODY, principal=7)
    assert is_signed(signed.body[0], DATA)
    signature, point = client.request(Opcode.CHECK, [bytes(32)]).body
    assert is_check_answer(signature, point, bytes(32))
    assert client.request(Opcode.VERIFY, [*SIGN_BODY, signed.body[0]]).status == Status.OK
    assert client.request(Opcode.VERIFY, [*SIGN_BODY[:3], b"x", signed.body[0]]).status == Status.BAD_SIGNATURE
    assert len(client.request(Opcode.RANDOM, [9]).body[0]) == 9
    assert client.request(Opcode.GENERATE_KEY, [KEY_ID, "ec-p256", "l"]).body[0] == KEY_ID
    assert client.request(Opcode.WRAP_KEY, ["echo"]).body == ["echo"]
    assert client.request(Opcode.SIGN, ["bad"]).status == Status.BAD_REQUEST
    boot_id, _, sessions, window, completed, *_ = ping(client)
    assert (boot_id.hex(), sessions, window) == (node.seen()["boot_id"], 4, 256)
    assert completed >= 8
    assert node.seen()["identities"] == {"7": "spiffe://test/client/app"}


def test_the_log_says_when_a_request_came_and_was_answered(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("latency", "SIGN", ms=30.0))
    before = time.monotonic()
    sign(client, 3, 12345)
    client.receive()
    found = next(each for each in node.log() if each.operation_id == 12345)
    assert (found.opcode, found.request_id, found.key_id) == ("SIGN", 3, KEY_ID.hex())
    assert (found.peer, found.fault, found.status) == ("raw", "latency", 0)
    assert found.answered_at is not None
    assert before < found.received_at <= found.answered_at - 0.03 < time.monotonic()
    assert node.call("log")[-1]["operation_id"] == 12345


def test_a_peer_that_breaks_the_protocol_is_recorded(node: NodeProcess, client: RawConnection) -> None:
    sign(client, 0)
    assert client.receive().status == Status.BAD_REQUEST
    assert read_end(client)[1] == "fin"
    assert "request ids start at 1" in node.seen()["breaches"]


# Connecting


def test_refuse_and_open_again(node: NodeProcess) -> None:
    node.listen("refuse")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", node.port), timeout=1)
    node.listen("open")
    RawConnection(node.port, None).socket.close()


def test_a_black_hole_lets_a_connect_hang(node: NodeProcess) -> None:
    node.listen("black-hole")
    with pytest.raises(TimeoutError):
        socket.create_connection(("127.0.0.1", node.port), timeout=QUIET_S)


def test_unaccepted_connects_hear_nothing_and_are_served_later(node: NodeProcess) -> None:
    node.listen("unaccepted")
    client = RawConnection(node.port, None, hello=False)
    client.send(frame(HELLO, HELLO_BODY))
    assert quiet(client) == b""
    node.listen("open")
    assert client.receive().kind == WELCOME
    client.socket.close()


@pytest.mark.parametrize(("action", "end"), [("silence", "open"), ("rst", "rst"), ("fin", "fin")])
def test_a_fault_at_the_connect(node: NodeProcess, action: str, end: str) -> None:
    node.arm(fault(action, "connect"))
    with RawConnection(node.port, None, hello=False) as client:
        client.socket.settimeout(QUIET_S)
        if end == "open":
            client.send(frame(HELLO, HELLO_BODY))
        assert read_end(client) == (b"", end)


def test_never_an_answer_to_hello(node: NodeProcess) -> None:
    node.arm(fault("drop", "HELLO"))
    with RawConnection(node.port, None, hello=False) as client:
        client.send(frame(HELLO, HELLO_BODY))
        assert quiet(client) == b""


def test_a_refused_hello(node: NodeProcess) -> None:
    node.arm(fault("status", "HELLO", status="DENIED"))
    with RawConnection(node.port, None, hello=False) as client:
        client.send(frame(HELLO, HELLO_BODY))
        answer = client.receive()
        assert (answer.kind, answer.request_id, answer.status) == (RESPONSE, 0, Status.DENIED)
        assert read_end(client) == (b"", "fin")


# Ends


@pytest.mark.parametrize("action", ["rst", "fin"])
def test_an_end_upon_a_request(node: NodeProcess, client: RawConnection, action: str) -> None:
    node.arm(fault(action, "work"))
    sign(client)
    assert read_end(client) == (b"", action)


def test_rst_while_half_of_a_request_is_on_its_way(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("rst", "partial"))
    client.send(frame(REQUEST, SIGN_BODY, opcode=Opcode.SIGN, request_id=1)[:40])
    assert read_end(client) == (b"", "rst")


def test_rst_and_fin_in_the_middle_of_an_answer(node: NodeProcess) -> None:
    whole = HEADER.size + 67
    node.arm(fault("half_then_rst", "SIGN"), fault("truncated", "SIGN"), fault("truncated", "SIGN", bytes=5))
    for length, end in ((whole // 2, "rst"), (whole // 2, "fin"), (5, "fin")):
        with RawConnection(node.port, None) as client:
            sign(client)
            data, how = read_end(client)
            assert (len(data), how) == (length, end)
            assert data[:4] == struct.pack(">I", whole - 4)


def test_goaway_in_mid_flight_then_fin(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("goaway", "SIGN"))
    sign(client)
    assert client.receive().kind == GOAWAY
    assert read_end(client) == (b"", "fin")


def test_goaway_in_order_answers_first(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("goaway", "SIGN", answer=True))
    sign(client)
    assert [client.receive().kind, client.receive().kind] == [GOAWAY, RESPONSE]
    assert read_end(client) == (b"", "fin")


def test_restart_has_a_new_boot_id_and_check_key(node: NodeProcess, client: RawConnection) -> None:
    old = ping(client)[0], client.request(Opcode.CHECK, [bytes(32)]).body[1]
    node.call("restart", down_ms=50)
    assert read_end(client)[1] == "rst"
    with pytest.raises(ConnectionRefusedError):
        RawConnection(node.port, None)
    deadline = time.monotonic() + 3
    while node.seen()["listener"] != "open":
        assert time.monotonic() < deadline
    with RawConnection(node.port, None) as again:
        boot_id, *_, completed = ping(again)[:5]
        assert completed == 0
        assert boot_id != old[0]
        assert again.request(Opcode.CHECK, [bytes(32)]).body[1] != old[1]


# Silence and slowness


def test_pings_answered_and_no_work_done(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("drop", "REQUEST", times=0))
    sign(client)
    first, second = ping(client), ping(client)
    assert first[4] == second[4]  # completed
    assert quiet(client) == b""
    assert node.seen()["in_flight"] == 1


def test_work_done_and_no_ping_answered(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("drop", "PING", times=0))
    client.send(frame(PING, request_id=1))
    assert client.request(Opcode.SIGN, SIGN_BODY).status == Status.OK
    assert quiet(client) == b""


def test_silence_lasts_for_the_connection_alone(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("silence", "SIGN"))
    sign(client)
    client.send(frame(PING))
    assert quiet(client) == b""
    with RawConnection(node.port, None) as other:
        assert ping(other)


def test_a_half_open_peer_takes_no_more_than_the_systems_buffers(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("stop_reading", "SIGN"))
    sign(client)
    client.socket.settimeout(QUIET_S)
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            client.send(bytes(1 << 20))


def test_slow_bytes_come_one_at_a_time(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("slow_bytes", "SIGN", ms=1.0))
    started = time.monotonic()
    sign(client)
    client.send(frame(PING, request_id=5))  # Its answer stands behind the slow one.
    first = client.socket.recv(4096)
    assert len(first) < 50
    data = first
    while len(data) < HEADER.size + 67 + HEADER.size:
        data += client.socket.recv(4096)
    assert time.monotonic() - started >= 0.1
    assert HEADER.unpack(data[:32])[2] == RESPONSE
    assert HEADER.unpack(data[99:131])[2] == PONG


def test_latency_and_its_tenfold(node: NodeProcess, client: RawConnection) -> None:
    node.set(service_ms=4.0, sessions=1)
    node.arm(fault("pass"), fault("slower", factor=10), fault("latency", ms=20.0))
    took = []
    for number in (1, 2, 3):
        started = time.monotonic()
        sign(client, number)
        client.receive()
        took.append(time.monotonic() - started)
    assert took[0] >= 0.004
    assert took[1] >= 0.040
    assert took[2] >= 0.024


def test_one_session_works_on_one_request_at_a_time(node: NodeProcess, client: RawConnection) -> None:
    node.set(service_ms=10.0, sessions=1)
    started = time.monotonic()
    for number in range(1, 6):
        sign(client, number)
    assert [client.receive().request_id for _ in range(5)] == [1, 2, 3, 4, 5]
    assert time.monotonic() - started >= 0.05


# Wrong frames


def test_an_unknown_id_a_wrong_operation_and_a_wrong_opcode(node: NodeProcess, client: RawConnection) -> None:
    node.arm(*(fault(action, "SIGN") for action in ("unknown_id", "wrong_operation_id", "wrong_opcode")))
    answers = []
    for number in (1, 2, 3):
        sign(client, number)
        answers.append(HEADER.unpack(client.socket.recv(4096)[: HEADER.size]))
    assert answers[0][4] == 1 ^ 0x40000000
    assert answers[1][9] == 77 ^ 0x40000000
    assert answers[2][7] == Opcode.SIGN ^ 1


def test_an_answer_twice(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("duplicate", "SIGN"))
    sign(client)
    assert client.receive() == client.receive()


def test_two_answers_with_their_ids_swapped(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("swap", "SIGN"))
    sign(client, 1, 101)
    sign(client, 2, 102)
    answers = [client.receive(), client.receive()]
    assert {each.request_id: each.operation_id for each in answers} == {1: 102, 2: 101}


@pytest.mark.parametrize(
    ("action", "options", "where", "value"),
    [
        ("oversized", {}, 0, (1 << 20) + 1),
        ("oversized", {"length": 0xFFFFFFFF}, 0, 0xFFFFFFFF),
        ("undersized", {}, 0, 27),
        ("wrong_version", {}, 1, 2),
        ("wrong_kind", {}, 2, 99),
        ("wrong_kind", {"kind": REQUEST}, 2, REQUEST),
        ("wrong_flags", {}, 3, 0x8000),
    ],
)
def test_a_malformed_header(
    node: NodeProcess, client: RawConnection, action: str, options: dict[str, Any], where: int, value: int
) -> None:
    node.arm(fault(action, "SIGN", **options))
    sign(client)
    assert HEADER.unpack(client.socket.recv(4096)[: HEADER.size])[where] == value


def test_garbage_and_a_body_that_is_none(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("garbage", "SIGN", bytes=99), fault("bad_body", "SIGN"), fault("garbage", "PING"))
    sign(client)
    assert len(client.socket.recv(4096)) == 99
    sign(client, 2)
    assert client.socket.recv(4096)[HEADER.size :] == b"\xc1"
    client.send(frame(PING))
    assert len(client.socket.recv(4096)) == 64


# Failed answers


def test_a_device_error_each_third_time(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("device_error", "SIGN", every=3, times=0))
    found = [client.request(Opcode.SIGN, SIGN_BODY).status for _ in range(6)]
    assert found == [0, 0, Status.DEVICE_ERROR] * 2


@pytest.mark.parametrize(
    ("action", "status", "flags"),
    [
        ("overloaded", Status.OVERLOADED, 1),
        ("not_current", Status.NOT_CURRENT, 1),
        ("going_away", Status.GOING_AWAY, 1),
        ("key_missing", Status.KEY_NOT_FOUND, 0),
        ("stale", Status.OK, 2),
    ],
)
def test_a_failed_or_stale_answer(
    node: NodeProcess, client: RawConnection, action: str, status: Status, flags: int
) -> None:
    node.arm(fault(action, "SIGN"))
    answer = client.request(Opcode.SIGN, SIGN_BODY)
    assert (answer.status, answer.flags) == (status, flags)


def test_wrong_signatures_are_well_formed(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("wrong_signature", "SIGN"), fault("wrong_signature", "CHECK"))
    signed = client.request(Opcode.SIGN, SIGN_BODY)
    assert len(signed.body[0]) == 64
    assert not is_signed(signed.body[0], DATA)
    signature, point = client.request(Opcode.CHECK, [bytes(32)]).body
    assert not is_check_answer(signature, point, bytes(32))
    assert is_signed(client.request(Opcode.SIGN, SIGN_BODY).body[0], DATA)


# What PONG says


def test_settings_show_in_pong(node: NodeProcess, client: RawConnection) -> None:
    node.set(window=1, state="stale", store_contact="stale", administrative_state="maintain", cluster_id="ab" * 16)
    pong = ping(client)
    assert (pong[3], pong[7], pong[9:12]) == (1, b"\xab" * 16, ["stale", "stale", "maintain"])
    node.set(window=0, administrative_state="drain")
    assert (ping(client)[3], ping(client)[11]) == (0, "drain")
    told = [(each.window, each.administrative_state) for each in node.record().told[-2:]]
    assert told == [(1, "maintain"), (0, "drain")]


def test_one_pong_of_another_cluster(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("pong", "PING", fields={"cluster_id": "cd" * 16, "window": 9}))
    assert ping(client)[7] == b"\xcd" * 16
    assert ping(client)[7] == bytes(16)


def test_a_frozen_completed_count(node: NodeProcess, client: RawConnection) -> None:
    before = ping(client)[4]
    node.set(frozen=True)
    client.request(Opcode.SIGN, SIGN_BODY)
    assert ping(client)[4] == before
    node.set(frozen=False)
    assert ping(client)[4] == before + 1


def test_stale_answers_as_a_setting(node: NodeProcess, client: RawConnection) -> None:
    node.set(stale_answers=True)
    assert client.request(Opcode.SIGN, SIGN_BODY).flags == 2


# The process itself


def test_a_poison_key_crashes_the_node_and_the_log_survives(tmp_path: Path) -> None:
    with NodeProcess(tmp_path) as node:
        node.arm(fault("crash", "work", key_id=KEY_ID.hex()))
        with RawConnection(node.port, None) as client:
            assert client.request(Opcode.RANDOM, [1]).status == 0
            sign(client)
            assert read_end(client)[1] in ("rst", "fin")
        assert node.wait() == 70
        with pytest.raises(ConnectionRefusedError):
            RawConnection(node.port, None)
        assert [(each.fault, each.answered_at, each.ended_at is None) for each in node.log()[1:]] == [
            ("crash", None, False)
        ]
        node.start()
        with RawConnection(node.port, None) as client:
            assert is_signed(client.request(Opcode.SIGN, SIGN_BODY).body[0], DATA)
        assert len({each.boot_id for each in node.log()}) == 2


def test_a_node_stops_itself_and_goes_on_when_told(node: NodeProcess, client: RawConnection) -> None:
    node.arm(fault("stop", "SIGN"))
    sign(client)
    node.wait_stopped()
    assert quiet(client) == b""
    assert node.log()[-1].fault == "stop"
    node.resume()
    assert client.receive().status == 0


def test_stop_and_stall_from_outside(node: NodeProcess, client: RawConnection) -> None:
    node.stop()
    client.send(frame(PING))
    assert quiet(client) == b""
    node.resume()
    assert client.receive().kind == PONG
    node.arm(fault("stall", "PING", ms=100.0))
    started = time.monotonic()
    assert ping(client)
    assert time.monotonic() - started >= 0.1


def test_faults_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    authority.issue("spiffe://test/node/node-1", "node-1")
    proxy = authority.issue("spiffe://test/proxy/proxy-1", "proxy-1")
    with NodeProcess(tmp_path, tls=tmp_path / "tls") as node:
        node.arm(fault("half_then_rst", "SIGN", peer="spiffe://test/proxy/proxy-1"), fault("truncated", "SIGN"))
        node.arm(fault("slow_bytes", "SIGN", ms=0.1))
        for end in ("rst", "fin", "whole"):
            with RawConnection(node.port, proxy) as client:
                sign(client)
                if end == "whole":
                    assert is_signed(client.receive().body[0], DATA)
                else:
                    data, how = read_end_below_tls(client)
                    assert (len(data) >= 49, how) == (True, end)
        assert {each.peer for each in node.log()} == {"spiffe://test/proxy/proxy-1"}
        node.arm(fault("silence", "connect"))
        raw = socket.create_connection(("127.0.0.1", node.port), timeout=QUIET_S)
        with pytest.raises((TimeoutError, ssl.SSLError)):
            ssl.create_default_context().wrap_socket(raw, server_hostname="x")
        raw.close()


def test_there_are_more_than_twenty_kinds() -> None:
    assert len(ACTIONS) >= 30
