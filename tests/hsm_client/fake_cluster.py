"""A small cluster on loopback for the client's tests: one proxy and its keys, with real crypto.

`script` holds answers that are given instead of the real one: a status to fail with, or one of CUT and MUTE.
"""

import asyncio
import ssl
import threading
from collections import deque
from typing import Any

from fake_crypto import FailedError
from fake_keystore import Keystore

from hsm_wire import kinds
from hsm_wire import messages as m
from hsm_wire.connection import Connection, agree_on, encode_failure
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.operations import OPERATIONS
from hsm_wire.states import End
from hsm_wire.statuses import Status

CUT = "cut"
MUTE = "mute"
ACCEPT_ROUNDS = 5
"""Rounds of the loop from `accept` to `connection_made`, and some more."""


class FakeProxy:
    """One proxy. `requests` are the frames received, `connections` those open now."""

    def __init__(self, keystore: Keystore | None = None) -> None:
        self.keystore = keystore or Keystore()
        self.script: deque[Any] = deque()
        self.requests: list[Frame] = []
        self.connections: set[_Served] = set()
        self.accepted = 0
        self.cancelled: list[int] = []
        self._server: asyncio.Server | None = None
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self, context: ssl.SSLContext | None = None) -> "FakeProxy":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Served(self), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            # What was accepted just before becomes a connection some rounds of the loop later.
            rounds = ACCEPT_ROUNDS
            while self.connections or rounds:
                for connection in list(self.connections):
                    connection.transport.abort()
                await asyncio.sleep(0)
                rounds = max(0, rounds - 1)
            await self._server.wait_closed()
            self._server = None


class _Served(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, proxy: FakeProxy) -> None:
        self.proxy = proxy
        self.wire = Connection(End.SERVER, binds=False)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.proxy.connections.add(self)
        self.proxy.accepted += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        for frame in self.wire.receive(data):
            if frame.kind == kinds.HELLO:
                self.wire.sent(kinds.WELCOME)
                self.wire.agree(1 << 20)
                welcome = agree_on(m.decode_body(m.Hello, frame.body), 1 << 20, 16, "fake", "")
                self.transport.write(encode_frame(kinds.WELCOME, m.encode_body(welcome)))
            elif frame.kind == kinds.REQUEST:
                self.proxy.requests.append(frame)
                self._serve(frame)
            elif frame.kind == kinds.CANCEL:
                self.proxy.cancelled.append(frame.request_id)

    def go_away(self) -> None:
        self.wire.sent(kinds.GOAWAY)
        self.transport.write(encode_frame(kinds.GOAWAY, m.encode_body(m.Goaway("stop"))))

    def _serve(self, frame: Frame) -> None:
        scripted = self.proxy.script.popleft() if self.proxy.script else None
        if scripted == MUTE:
            return
        if scripted == CUT:
            self.transport.abort()
            return
        self.wire.answered(frame.request_id)
        if isinstance(scripted, Status):
            self._fail(frame, scripted, not_executed=True)
            return
        try:
            body = m.decode_body(OPERATIONS[frame.opcode].request, frame.body)
            result = self.proxy.keystore.answer(frame.opcode, body)
        except FailedError as error:
            self._fail(frame, error.status)
            return
        status = Status.OK
        if scripted is not None:
            status, result = scripted
        self.transport.write(
            encode_frame(
                kinds.RESPONSE,
                m.encode_body(result),
                request_id=frame.request_id,
                opcode=frame.opcode,
                status=status,
                operation_id=frame.operation_id,
            )
        )

    def _fail(self, frame: Frame, status: Status, *, not_executed: bool = False) -> None:
        self.transport.write(
            encode_failure(
                frame.request_id,
                status,
                "",
                opcode=frame.opcode,
                operation_id=frame.operation_id,
                not_executed=not_executed,
            )
        )


class FakeCluster:
    """A FakeProxy on an event loop in a thread of its own, for tests of the blocking client."""

    def __init__(self) -> None:
        self.proxy = FakeProxy()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "FakeCluster":
        self._thread.start()
        self.call(self.proxy.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.call(self.proxy.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
