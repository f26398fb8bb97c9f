"""One end of a TLS connection without a socket: what the peer sent in, what the peer said out, and the other way round.

Theory. OpenSSL works on two buffers in memory, which keep the size that they once had. So what is read is handed over
in pieces, and what is written is taken out after each record: neither buffer ever holds more than a piece and a
record's frame, whatever passes. After each piece all that is whole has been read, so nothing waits in here that the
loop does not know of; the one exception is what is `hold`-ed for an application that wants to read later.

An `SSLWantReadError` costs more than a record of 128 bytes. It is avoided by asking once, and again only while there is
something left.
"""

import contextlib
import ssl
from typing import Final

PIECE_BYTES: Final = 16 << 10
"""Ciphertext given to OpenSSL at once. Given 256 KiB at once, a connection kept 205 KiB instead of 78."""
RECORD_BYTES: Final = 16 << 10
"""Plaintext in a record at most (RFC 8446, 5.1)."""
Octets = bytes | bytearray | memoryview


class TlsSession:
    """See the module. Errors are `ssl.SSLError`; after one, `outgoing` may hold the alert that tells the peer."""

    __slots__ = ("_incoming", "ended", "outgoing", "server_side", "tls")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_hostname: str | None = None) -> None:
        """Prepare; `shake` begins.

        Raises:
            ValueError: the host's name cannot be one; UnicodeError, which is one too, as well.
        """
        self._incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        """What is to be sent. To be looked at after each call."""
        self.server_side = server_side
        self.tls = context.wrap_bio(
            self._incoming, self.outgoing, server_side=server_side, server_hostname=server_hostname
        )
        self.ended = False
        """The peer said that it sends no more (close_notify)."""

    @property
    def holds(self) -> bool:
        """Whether there is something that has come and was not asked for."""
        return self._incoming.pending > 0

    def shake(self, data: Octets = b"") -> bool:
        """Go on with the handshake; True: it is done, and what came behind it is held.

        Raises:
            ssl.SSLError: it failed.
        """
        if data:
            self._incoming.write(data)
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def hold(self, data: Octets) -> None:
        """Keep what came for the next `receive`."""
        self._incoming.write(data)

    def receive(self, data: Octets = b"") -> bytes:
        """Return what the peer said in what is whole now, empty if nothing is; look at `ended` too.

        Raises:
            ssl.SSLError: it is not what the peer sent, or the peer says what is wrong.
        """
        size = len(data)
        if size > PIECE_BYTES:
            return self._receive_pieces(memoryview(data))
        incoming = self._incoming
        if size:
            incoming.write(data)
        try:
            # A record that came whole is longer than its plaintext, so there is room for it.
            said = self.tls.read(size or RECORD_BYTES)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            said = b""
        if not said:
            self.ended = True
        elif len(said) == size or incoming.pending:
            return b"".join([said, *self._read_on()])
        return said

    def send(self, data: Octets) -> bytes:
        """Return what is to be sent for that, RECORD_BYTES at most.

        Raises:
            ssl.SSLError: the connection is broken.
        """
        self.tls.write(data)
        return self.outgoing.read()

    def send_long(self, data: Octets) -> list[bytes]:
        """Do the same for data of any length.

        Raises:
            ssl.SSLError: the connection is broken.
        """
        view = memoryview(data)
        return [self.send(view[at : at + RECORD_BYTES]) for at in range(0, len(view), RECORD_BYTES)]

    def close(self) -> None:
        """Say that nothing more will be sent."""
        with contextlib.suppress(ssl.SSLError):  # that the peer has not said it yet, or that it still sends
            self.tls.unwrap()

    def _receive_pieces(self, data: memoryview) -> bytes:
        said: list[bytes] = []
        for at in range(0, len(data), PIECE_BYTES):
            self._incoming.write(data[at : at + PIECE_BYTES])
            said += self._read_on()
            if self.ended:
                break
        return b"".join(said)

    def _read_on(self) -> list[bytes]:
        """Read all that is whole, a record at a time."""
        incoming, read = self._incoming, self.tls.read
        said: list[bytes] = []
        try:
            while part := read(RECORD_BYTES):
                said.append(part)
                if not incoming.pending:
                    return said
        except ssl.SSLWantReadError:
            return said
        except ssl.SSLZeroReturnError:
            pass
        self.ended = True
        return said
