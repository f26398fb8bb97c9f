"""Reads what a fuzzer gives as a script: numbers, pieces, frames. Whatever is missing at the end is zeros."""

from collections.abc import Sequence

from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, Goaway, Hello, Pong, Unbind, Welcome, encode_body

OPCODES = (0x0201, 0x0002, 0x0003, 0x0004, 0x0101, 0x0103, 0x0401, 0xFFFF)
EVENTS = 0x0005
STATUSES = (0, 0, 0x0101, 0x0103, 0x0201, 0x0301, 0x0401, 0x0402, 0x0501, 0x0502, 0xFFFF)
AS_PROXY = (3, 3, 3, 3, 8, 5, 9, 10, 6, 3)
"""Kinds that a proxy sends to a node: most are requests."""
AS_CLIENT = (3, 3, 3, 3, 8, 5, 6, 3)
AS_NODE = (4, 4, 4, 4, 6, 6, 5, 4)
BODIES = (
    b"\x90",
    b"",
    b"\xc1",
    encode_body(Hello(1, 1, 1 << 20, 64, "fuzz")),
    encode_body(Hello(1, 1, 4096, 2, "fuzz")),
    encode_body(Welcome(1, 1 << 20, 64, "node-1")),
    encode_body(Welcome(1, 4096, 1, "node-1", "00")),
    encode_body(Pong(b"b" * 16, 0, 2, 64, 1)),
    encode_body(Pong(b"b" * 16, 9, 1, 1, 2, state="sealed", administrative_state="drain")),
    encode_body(Pong(b"c" * 16, 0, 0, 0, 0, store_contact="stale", state="stale")),
    encode_body(Bind(1, "spiffe://t/client/a", 1, ["use"], b"", 0)),
    encode_body(Bind(1, "spiffe://t/proxy/p", 0, ["check"], b"", 0)),
    encode_body(Bind(2, "spiffe://other/client/a", 1, ["use"], b"", 0)),
    encode_body(Unbind(1)),
    encode_body(Goaway("stop")),
    b"\x92\xa4no no\x00",
    encode_body(Pong(b"b" * 16, 0, 2, 64, 1, 0, 7, b"c" * 16, 1, "current", "up", "ready", b"d" * 16, 9, 12)),
)
"""Bodies that a mutation would find late."""


class Input:
    """The bytes of one input, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size).ljust(size, b"\0"), "big")

    def take(self, size: int) -> bytes:
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def body(self) -> bytes:
        """A known body, or (from 0x80 on) raw bytes."""
        choice = self.number()
        return self.take(choice - 0x80) if choice >= 0x80 else BODIES[choice % len(BODIES)]

    def frame(self, usual: Sequence[int] = tuple(kinds.Kind)) -> bytes:
        """A frame that is legal by itself; of a kind out of `usual`, now and then of any other."""
        choice = self.number()
        kind = 1 + choice % len(kinds.Kind) if choice >= 0xF0 else usual[choice % len(usual)]
        choice = self.number()
        request_id = 0 if choice == 0xFF else 1 + choice % 8
        body = self.body()
        if kind == kinds.REQUEST:
            choice, timeout = self.number(), self.number()
            return encode_frame(
                kind,
                body,
                request_id=request_id,
                opcode=EVENTS if choice & 0x38 == 0x38 else OPCODES[choice % 8],
                principal=choice >> 6,
                timeout_ms=timeout * 10,
                operation_id=timeout % 4,
            )
        if kind == kinds.RESPONSE:
            choice = self.number()
            return encode_frame(
                kind,
                body,
                request_id=request_id,
                status=STATUSES[choice % len(STATUSES)],
                flags=choice >> 6 & 3,
                opcode=OPCODES[0],
            )
        return encode_frame(kind, body, request_id=request_id)
