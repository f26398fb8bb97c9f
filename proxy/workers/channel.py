"""The pair of sockets between a parent and a worker: messages both ways, and the end of either.

Theory. Both ends are in the same hands, so what is bounded is what a process that stands still can make the other one
hold: beyond MAX_UNSENT_BYTES nothing more is sent. A worker that does not read is ended by the parent before long; a
parent that does not read is ended by the service manager.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar, cast

import msgspec

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from proxy.workers.messages import LENGTH_BYTES, MAX_MESSAGE_BYTES, Begin, MalformedError, Message, Splitter, encode

MAX_UNSENT_BYTES: Final = 2 * MAX_MESSAGE_BYTES
"""That wait for the other end; more is not sent."""
BEGIN_LIMIT_S: Final = 10.0
"""For the parent's first message, which it sends as soon as the process has begun."""
_M = TypeVar("_M")
_log = LimitedLog(logs.logger("proxy.workers"), 1)
"""Ten messages come a second."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends; neither goes to programs that are started unless it is named."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)


class Channel(asyncio.Protocol, Generic[_M]):
    """One end."""

    def __init__(self, decoder: "msgspec.msgpack.Decoder[_M]", take: Callable[[_M], None], ended: Callable[[], None]):
        self._decoder = decoder
        self._take = take
        self._ended = ended
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come; nonsense ends it."""
        try:
            messages = [self._decoder.decode(body) for body in self._splitter.split(data)]
        except (MalformedError, msgspec.DecodeError):
            self.close()
            return
        for message in messages:
            try:
                self._take(message)
            except Exception as error:  # noqa: BLE001 - what one message does must not end all that the other end says
                _log.exception("a message between parent and worker failed", error, kind=type(message).__name__)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio names it
        """Tell of the end."""
        self._transport = None
        self._ended()

    def send(self, message: Message) -> bool:
        """Send a message; False where it cannot be: the other end has gone, or does not read."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            return False
        transport.write(encode(message))
        return True

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()


async def open_channel(
    sock: socket.socket, form: Any, take: Callable[[Any], None], ended: Callable[[], None]
) -> "Channel[Any]":
    """Speak over that socket, whose it is from now on.

    Args:
        sock: one end of a pair.
        form: of the messages that come.
        take: called with each of them.
        ended: called when the other end has gone.
    """
    sock.setblocking(False)
    decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(form)
    _, channel = await asyncio.get_running_loop().create_unix_connection(
        lambda: Channel(decoder, take, ended), sock=sock
    )
    return channel


def first_message(sock: socket.socket) -> Begin:
    """Wait for the parent's first message, before there is a loop.

    Raises:
        MalformedError: it does not come, or is none.
    """
    sock.settimeout(BEGIN_LIMIT_S)
    try:
        length = int.from_bytes(_exactly(sock, LENGTH_BYTES), "big")
        if length > MAX_MESSAGE_BYTES:
            raise MalformedError("the first message is longer than it may be")
        return msgspec.msgpack.decode(_exactly(sock, length), type=Begin)
    except (OSError, msgspec.DecodeError) as error:
        raise MalformedError(f"the parent's first message did not come: {error}") from None


def _exactly(sock: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = sock.recv(length - len(data))
        if not more:
            raise MalformedError("the parent has gone")
        data += more
    return bytes(data)
