"""One connection to a node: greets, checks that it is that node, carries requests, answers and checks."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from hsm_daemon import clock
from hsm_wire import kinds
from hsm_wire import limits as wire
from hsm_wire.connection import Connection
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Failure, Goaway, Hello, Pong, Welcome, decode_body, encode_body
from hsm_wire.states import End
from proxy.core.nodes.node_table import PathEntry
from proxy.core.parties import Link
from proxy.net.acknowledgement import unacknowledged_s
from proxy.net.write_gate import WriteGate

if TYPE_CHECKING:
    from proxy.net.link_keeper import LinkKeeper


class NodeLink(asyncio.Protocol):
    """What a connection to a node does; `LinkKeeper` holds what all of them share."""

    def __init__(self, keeper: "LinkKeeper", path: PathEntry, *, bulk: bool) -> None:
        self._keeper = keeper
        self._connection = Connection(End.CLIENT, binds=True)
        self._transport: asyncio.Transport | None = None
        self._gate: WriteGate | None = None
        self._reason = "the node closed the connection"
        self.path = path
        self.bulk = bulk
        self.link: Link | None = None
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the node's WELCOME came; fails with ConnectionError when it will not."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check the certificate, say HELLO."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is none by class, but by what it does
        keeper = self._keeper
        self._transport = transport
        self._gate = WriteGate(transport, keeper.turn, keeper.settings.limits.link_unsent_bytes, self._unsent)
        wrong = keeper.wrong_identity(transport, self.path)
        if wrong is not None:
            self.abort(wrong)
            return
        hello = Hello(
            wire.PROTOCOL_VERSION,
            wire.PROTOCOL_VERSION,
            keeper.settings.limits.max_frame_bytes,
            wire.LINK_MAX_IN_FLIGHT,
            keeper.name,
            keeper.configuration_hash,
        )
        self._connection.sent(kinds.HELLO)
        self._gate.write(encode_frame(kinds.HELLO, encode_body(hello)))

    def data_received(self, data: bytes) -> None:
        """Take the frames that are complete now."""
        now = clock.monotonic()
        link = self.link
        if link is not None:
            link.heard = now
        connection = self._connection
        response = self._keeper.dispatcher.response
        for frame in connection.receive(data):
            if frame.kind == kinds.RESPONSE and link is not None and frame.request_id:
                response(link, frame, now)
            else:
                self._control(frame, now)
                link = self.link
        if connection.fault is not None:
            self.abort(f"the node broke the protocol: {connection.fault.detail}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Give what was in flight back to the core."""
        reason = self._reason if exc is None else f"the connection broke: {type(exc).__name__}"
        if not self.opened.done():
            self.opened.set_exception(ConnectionError(reason))
            self.opened.exception()  # whoever waits gets it; if nobody does any more, that is no fault
        self._keeper.ended(self, reason)
        if self._gate is not None:
            self._gate.lost()
        # Cuts the circles with transport and core: what they hold does not wait for the garbage collector.
        self._transport = self._gate = self.link = None

    def abort(self, reason: str) -> None:
        """Drop the connection for that reason."""
        self._reason = reason
        if self._gate is not None:
            self._gate.abort()

    def close(self) -> None:
        """End the connection in order."""
        self._reason = "this proxy stops"
        if self._gate is not None:
            self._gate.close()

    def unsent(self) -> int:
        """Return how many bytes wait for the system."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def unacknowledged_s(self) -> float:
        """Return how many seconds ago the node's machine acknowledged something, where it has not all; else 0.0."""
        return unacknowledged_s(self._transport)

    def _control(self, frame: Frame, now: float) -> None:
        handlers: dict[int, Callable[[Frame, float], None]] = {
            kinds.PONG: self._pong,
            kinds.WELCOME: self._welcome,
            kinds.RESPONSE: self._refused,
            kinds.GOAWAY: self._goaway,
            kinds.PING: self._answer_ping,
        }
        try:
            handlers[frame.kind](frame, now)
        except BodyError as error:
            self.abort(f"the node broke the protocol: {error}")

    def _welcome(self, frame: Frame, now: float) -> None:
        welcome = decode_body(Welcome, frame.body)
        if welcome.version != wire.PROTOCOL_VERSION:
            self.abort(f"the node speaks version {welcome.version} of the protocol")
            return
        assert self._gate is not None
        self._connection.agree(self._keeper.settings.limits.max_frame_bytes)
        self.link = Link(
            self.path,
            self._gate.write,
            bulk=self.bulk,
            max_in_flight=max(1, min(welcome.max_in_flight, wire.LINK_MAX_IN_FLIGHT)),
            max_frame_bytes=welcome.max_frame_bytes,
            close=self.abort,
            unsent=self.unsent,
            unacknowledged_s=self.unacknowledged_s,
        )
        self._keeper.greeted(self, self.link, welcome.configuration_hash, now)
        if not self.opened.done():
            self.opened.set_result(None)

    def _pong(self, frame: Frame, now: float) -> None:
        pong = decode_body(Pong, frame.body)
        if self.link is not None:
            self._keeper.pong(self.link, frame.request_id, pong, now)

    def _refused(self, frame: Frame, now: float) -> None:
        """Handle an answer that speaks of the connection and not of a request."""
        del now
        failure = decode_body(Failure, frame.body)
        self.abort(f"the node refused the connection: {failure.detail}")

    def _goaway(self, frame: Frame, now: float) -> None:
        self._reason = decode_body(Goaway, frame.body).reason or "the node is shutting down"
        if self.link is not None:
            self._keeper.going_away(self.link, self._reason, now)

    def _answer_ping(self, frame: Frame, now: float) -> None:
        del now
        if self._gate is not None:
            self._gate.write(encode_frame(kinds.PONG, encode_body(self._keeper.report()), request_id=frame.request_id))

    def _unsent(self) -> None:
        self.abort("the node does not read (limit link_unsent_bytes)")
