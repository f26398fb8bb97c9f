"""Proxy, clients and nodes in one process: every round is answered."""

import sys
from collections.abc import Callable
from subprocess import Popen
from typing import Any

import pytest

from bench.enclosed import Mirror
from hsm_wire import kinds
from hsm_wire.frames import HEADER, encode_frame
from hsm_wire.opcodes import Opcode

SIZE = 64


class Written:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    def is_closing(self) -> bool:
        return False


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def mirror(written: Written) -> Mirror:
    made: Any = Mirror(SIZE)
    made.connection_made(written)
    mirror: Mirror = made
    return mirror


def request(number: int, size: int = SIZE) -> bytes:
    body = bytes(size - HEADER.size)
    numbers: dict[str, int] = {"request_id": number, "operation_id": 7 * number, "timeout_ms": 99, "principal": 3}
    return encode_frame(kinds.REQUEST, body, opcode=Opcode.SIGN, **numbers)


def test_a_node_answers_requests_of_its_size_all_at_once(mirror: Mirror, written: Written) -> None:
    mirror.data_received(request(1) + request(2))
    assert len(written.data) == 2 * SIZE
    for number in (1, 2):
        found = HEADER.unpack_from(written.data, (number - 1) * SIZE)
        assert found == (SIZE - 4, 1, kinds.RESPONSE, 0, number, 0, 0, Opcode.SIGN, 0, 7 * number)


def test_what_is_no_row_of_such_requests_is_read_frame_by_frame(mirror: Mirror, written: Written) -> None:
    mirror.data_received(request(1) + encode_frame(kinds.BIND, bytes(8)) + request(2, SIZE + 5))
    kinds_found = [written.data[at + 5] for at in (0, SIZE)]
    assert kinds_found == [kinds.RESPONSE, kinds.RESPONSE]
    assert len(written.data) == 2 * SIZE + 5


@pytest.mark.parametrize("load", [(3, 1), (2, 8)])
def test_rounds_are_answered_until_its_input_ends(start: Callable[..., Popen[str]], load: tuple[int, int]) -> None:
    connections, in_flight = map(str, load)
    command = [sys.executable, "-m", "bench.enclosed", "--connections", connections, "--in-flight", in_flight]
    process = start(*command)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    for _ in range(2):
        process.stdin.write("run 3\n")
        process.stdin.flush()
        assert process.stdout.readline() == "done\n"
    process.stdin.close()
    assert process.wait(30) == 0
