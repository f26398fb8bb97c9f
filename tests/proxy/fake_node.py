"""A small node that speaks the protocol and answers whatever the test tells it to."""

import asyncio

from hsm_wire import kinds
from hsm_wire.connection import Connection, agree_on
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, Hello, Pong, decode_body, encode_body
from hsm_wire.states import End


class FakeNode:
    """Answers every request with `status`, at once or when `release` is called."""

    def __init__(self, name):
        self.name = name
        self.port = 0
        self.status = 0
        self.holding = False
        self.silent = False
        self.state = "up"
        self.window = 64
        self.requests = []
        self.binds = {}
        self.hello_hash = ""
        self.links = set()
        self._held = []
        self._server = None

    async def start(self, context=None):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Link(self), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Die: every connection breaks."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in list(self.links):
            link.transport.abort()
        while self.links:
            await asyncio.sleep(0.005)

    def release(self):
        """Answer what was held."""
        held, self._held = self._held, []
        for link, frame in held:
            link.answer(frame)

    def take(self, link, frame):
        self.requests.append(frame)
        if self.holding:
            self._held.append((link, frame))
        else:
            link.answer(frame)

    def say(self, kind, body=b""):
        for link in self.links:
            link.connection.sent(kind)
            link.transport.write(encode_frame(kind, body))


class _Link(asyncio.Protocol):
    def __init__(self, node):
        self.node = node
        self.connection = Connection(End.SERVER, binds=True)

    def connection_made(self, transport):
        self.transport = transport
        self.node.links.add(self)

    def connection_lost(self, exc):
        self.node.links.discard(self)

    def data_received(self, data):
        for frame in self.connection.receive(data):
            if frame.kind == kinds.HELLO:
                welcome = agree_on(decode_body(Hello, frame.body), 1 << 20, 8192, "fake", self.node.hello_hash)
                self.connection.sent(kinds.WELCOME)
                self.connection.agree(1 << 20)
                self.transport.write(encode_frame(kinds.WELCOME, encode_body(welcome)))
            elif frame.kind == kinds.PING and not self.node.silent:
                pong = Pong(b"boot", 0, 2, self.node.window, len(self.node.requests), state=self.node.state)
                self.transport.write(encode_frame(kinds.PONG, encode_body(pong), request_id=frame.request_id))
            elif frame.kind == kinds.BIND:
                bind = decode_body(Bind, frame.body)
                self.node.binds[bind.number] = bind
            elif frame.kind == kinds.REQUEST:
                assert frame.principal in self.node.binds, "a request before its BIND"
                self.node.take(self, frame)
        assert self.connection.fault is None, self.connection.fault

    def answer(self, frame):
        self.connection.answered(frame.request_id)
        if not self.transport.is_closing():
            self.transport.write(
                encode_frame(
                    kinds.RESPONSE,
                    b"\x91\xc4" + bytes([len(frame.body)]) + frame.body,
                    request_id=frame.request_id,
                    opcode=frame.opcode,
                    status=self.node.status,
                    operation_id=frame.operation_id,
                )
            )
