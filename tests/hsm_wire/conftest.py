"""What the tests of the wire share: ways to cut a stream, and connections brought to a state."""

from collections.abc import Callable, Iterable

import pytest

from hsm_wire import kinds
from hsm_wire.connection import Connection
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Hello, encode_body
from hsm_wire.states import End

HELLO = encode_frame(kinds.HELLO, encode_body(Hello(1, 1, 1 << 20, 256, "test")))


@pytest.fixture
def cuts() -> Callable[[bytes], list[list[bytes]]]:
    """Ways to cut a stream: whole, byte by byte, in halves at every place, with empty pieces between."""

    def cut(stream: bytes) -> list[list[bytes]]:
        single = [stream[i : i + 1] for i in range(len(stream))]
        halves = [[stream[:i], stream[i:]] for i in range(len(stream))]
        return [[stream], single, [piece for one in single for piece in (one, b"")], *halves]

    return cut


@pytest.fixture
def open_server() -> Callable[..., Connection]:
    """A server's connection that has greeted."""

    def make(*, binds: bool = False) -> Connection:
        connection = Connection(End.SERVER, binds=binds)
        assert len(connection.receive(HELLO)) == 1
        connection.sent(kinds.WELCOME)
        connection.agree(1 << 20)
        return connection

    return make


@pytest.fixture
def feed() -> Callable[[Connection, Iterable[bytes]], list[bytes]]:
    """Feed pieces; return the frames' bytes."""

    def run(connection: Connection, pieces: Iterable[bytes]) -> list[bytes]:
        return [frame.raw for piece in pieces for frame in connection.receive(piece)]

    return run
