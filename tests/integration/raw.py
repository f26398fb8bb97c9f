"""Frames by hand, over TLS or not: what a well-behaved client never sends."""

import secrets
import socket
import ssl
import struct
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import msgpack
from certificates import Identity

HEADER = struct.Struct(">IBBHIIIHHQ")
HELLO, WELCOME, REQUEST, RESPONSE, PING, PONG, GOAWAY, CANCEL, BIND, UNBIND = range(1, 11)
HELLO_BODY = [1, 1, 1 << 20, 64, "raw", ""]
TIMEOUT_S = 8.0


@dataclass(frozen=True)
class Answer:
    """A frame from the peer."""

    kind: int
    flags: int
    request_id: int
    status: int
    operation_id: int
    body: list[Any]

    @property
    def detail(self) -> str:
        """The sentence of a failed answer."""
        return str(self.body[0])


def tls_context(identity: Identity) -> ssl.SSLContext:
    """Return a client's context for that identity."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.load_verify_locations(identity.ca)
    context.load_cert_chain(identity.certificate, identity.key)
    return context


def frame(
    kind: int,
    body: list[Any] | bytes = b"",
    *,
    version: int = 1,
    flags: int = 0,
    request_id: int = 0,
    timeout_ms: int = 0,
    principal: int = 0,
    opcode: int = 0,
    status: int = 0,
    operation_id: int | None = None,
    length: int | None = None,
) -> bytes:
    """Return a frame with any field as wrong as the test wants it."""
    data = body if isinstance(body, bytes) else msgpack.packb(body, use_bin_type=True)
    if operation_id is None:
        operation_id = secrets.randbits(64) if kind == REQUEST else 0
    return (
        HEADER.pack(
            28 + len(data) if length is None else length,
            version,
            kind,
            flags,
            request_id,
            timeout_ms,
            principal,
            opcode,
            status,
            operation_id,
        )
        + data
    )


class RawConnection:
    """A connection that says whatever it is told to."""

    def __init__(self, port: int, identity: Identity | None, *, hello: bool = True) -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_S)
        if identity is not None:
            try:
                self.socket = tls_context(identity).wrap_socket(self.socket)
            except BaseException:
                self.socket.close()
                raise
        self._last_id = 0
        if hello:
            self.send(frame(HELLO, HELLO_BODY))
            assert self.receive().kind == WELCOME

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def request(self, opcode: int, body: list[Any] | bytes, **fields: Any) -> Answer:
        """Send a request and return its answer."""
        self._last_id += 1
        self.send(frame(REQUEST, body, opcode=opcode, request_id=self._last_id, **fields))
        answer = self.receive()
        assert answer.request_id == self._last_id
        return answer

    def receive(self) -> Answer:
        """Return the next frame that is not a PING; PINGs are answered."""
        while True:
            header = self._read(HEADER.size)
            length, version, kind, flags, request_id, _, _, _, status, operation_id = HEADER.unpack(header)
            assert version == 1
            body = self._read(length - 28)
            if kind != PING:
                return Answer(kind, flags, request_id, status, operation_id, msgpack.unpackb(body))
            self.send(frame(PONG, [b"", 0, 0, 0, 0], request_id=request_id))

    def closed_by_peer(self) -> bool:
        """Wait for the peer to close; False when it is still open after the time-out."""
        end = time.monotonic() + TIMEOUT_S
        try:
            while time.monotonic() < end:
                if not self.socket.recv(4096):
                    return True
        except TimeoutError:
            return False
        except OSError:  # A reset or a TLS alert is an end too.
            return True
        return False

    def _read(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError(f"closed by the peer after {len(data)} of {count} bytes")
            data += more
        return data
