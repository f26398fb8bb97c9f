"""A small node that speaks the protocol and answers whatever the test tells it to."""

import asyncio

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm_wire import kinds
from hsm_wire.connection import Connection, agree_on
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, Check, CheckResult, Hello, Pong, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.states import End, State
from hsm_wire.statuses import Status

ACCEPT_ROUNDS = 5
"""Rounds of the loop from `accept` to `connection_made`, and some more."""


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
        self.check_key = ec.generate_private_key(ec.SECP256R1())
        self._held = []
        self._server = None

    async def start(self, context=None):
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Link(self), "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Die: every connection breaks."""
        # What was accepted gets its transport first: with the server closed nobody would end it.
        for _ in range(ACCEPT_ROUNDS):
            await asyncio.sleep(0)
        if self._server is not None:
            self._server.close()
            self._server = None
        rounds = ACCEPT_ROUNDS
        while self.links or rounds:  # one that was accepted, or whose handshake goes on, may still come
            for link in list(self.links):
                link.transport.abort()
            await asyncio.sleep(0.002)
            rounds = max(0, rounds - 1)

    def release(self):
        """Answer what was held."""
        held, self._held = self._held, []
        for link, frame in held:
            link.answer(frame)

    def take(self, link, frame):
        if frame.opcode == Opcode.CHECK:
            link.check(frame)
            return
        if frame.opcode == Opcode.USAGE:  # an older node: it counts nothing
            link.answer(frame, int(Status.UNKNOWN_OPERATION))
            return
        self.requests.append(frame)
        if self.holding:
            self._held.append((link, frame))
        else:
            link.answer(frame)

    def say(self, kind, body=b""):
        for link in [link for link in self.links if link.connection.state is not State.NEW]:
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

    def check(self, frame):
        """Answer the proxy's deep check."""
        key = self.node.check_key
        r, s = decode_dss_signature(key.sign(decode_body(Check, frame.body).challenge, ec.ECDSA(hashes.SHA256())))
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        result = CheckResult(r.to_bytes(32, "big") + s.to_bytes(32, "big"), point)
        self.connection.answered(frame.request_id)
        self.transport.write(
            encode_frame(kinds.RESPONSE, encode_body(result), request_id=frame.request_id, opcode=frame.opcode)
        )

    def answer(self, frame, status=None):
        self.connection.answered(frame.request_id)
        if not self.transport.is_closing():
            self.transport.write(
                encode_frame(
                    kinds.RESPONSE,
                    b"\x91\xc4" + bytes([len(frame.body)]) + frame.body,
                    request_id=frame.request_id,
                    opcode=frame.opcode,
                    status=self.node.status if status is None else status,
                    operation_id=frame.operation_id,
                )
            )
