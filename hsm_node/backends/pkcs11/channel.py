"""Messages over a stream socket: four bytes of length, then the message."""

import socket
import struct
from typing import Final

from hsm_node.backends.pkcs11.messages import MAX_MESSAGE_BYTES

_LENGTH_BYTES: Final = 4
_TIMEVAL: Final = struct.Struct("ll")
"""struct timeval of the kernel: seconds and microseconds."""
_FIRST_READ_BYTES: Final = 16 * 1024
"""One read takes a whole message but for the long ones: a signature's question has some 300 bytes to 3 KB."""


_LEAST_S: Final = 0.001
"""What is shorter would be taken for no limit at all."""


class ChannelError(Exception):
    """The other end is gone, silent for too long, or says what it must not."""


class ChannelSilentError(ChannelError):
    """The time was up before the answer came."""


class Channel:
    """One end. Used by one thread at a time.

    The kernel keeps the time: the interpreter would ask before each read and write whether it can be made, which is a
    call more and a turn more at its lock.
    """

    __slots__ = ("_limit_s", "_socket")

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._limit_s: float | None = None

    def send(self, message: bytes) -> None:
        """Send a message.

        Raises:
            ChannelError: the other end is gone.
        """
        try:
            self._socket.sendall(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
        except BlockingIOError:
            raise ChannelSilentError("it does not read") from None
        except OSError as error:
            raise ChannelError(f"it is gone ({error.strerror})") from None

    def receive(self) -> bytes:
        """Return the next message; empty when the other end has closed between two of them.

        Raises:
            ChannelError: it is gone within a message, or its message is too long.
        """
        try:
            head = self._socket.recv(_FIRST_READ_BYTES)
            if not head:
                return b""
            while len(head) < _LENGTH_BYTES:
                head += self._more(_LENGTH_BYTES - len(head))
            wanted = int.from_bytes(head[:_LENGTH_BYTES], "big")
            if wanted > MAX_MESSAGE_BYTES:
                raise ChannelError("its message is too long")
            missing = wanted + _LENGTH_BYTES - len(head)
            if not missing:
                return head[_LENGTH_BYTES:]
            parts = [head[_LENGTH_BYTES:]]
            while missing:
                parts.append(self._more(missing))
                missing -= len(parts[-1])
            return b"".join(parts)
        except BlockingIOError:
            raise ChannelSilentError("it does not answer") from None
        except OSError as error:
            raise ChannelError(f"it is gone ({error.strerror})") from None

    def limit(self, seconds: float | None) -> None:
        """Have each read and write end after that time; None: never."""
        if seconds == self._limit_s:
            return
        whole = 0.0 if seconds is None else max(seconds, _LEAST_S)
        value = _TIMEVAL.pack(int(whole), int(whole % 1 * 1e6))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        self._limit_s = seconds

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _more(self, missing: int) -> bytes:
        data = self._socket.recv(missing)
        if not data:
            raise ChannelError("it is gone")
        return data
