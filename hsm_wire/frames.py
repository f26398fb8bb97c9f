"""The 32-byte header, and the splitter that cuts a byte stream into frames.

Theory. A frame is split once and its bytes are kept as they came: the proxy re-sends that very slice with a new
header, on failover too. So the splitter parses the header, never the body. It holds at most one incomplete
frame; the length field is checked against the maximum before anything is stored for it, so a length of 4 GiB
costs 32 bytes. The same bytes give the same frames in any cut.

After a fault the splitter is deaf: whatever follows a malformed frame cannot be trusted.
"""

import struct
from typing import TYPE_CHECKING, Final

from hsm_wire import kinds, limits
from hsm_wire.errors import RemoteProtocolError
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from mypy_extensions import i64

# length, version, kind, flags, request id, timeout ms, principal, opcode, status, operation id
HEADER: Final = struct.Struct(">IBBHIIIHHQ")
_LENGTH_VERSION_KIND_FLAGS_ID: Final = struct.Struct(">IBBHI")
_AFTER_ID: Final = _LENGTH_VERSION_KIND_FLAGS_ID.size
_FIELDS: Final = struct.Struct(">IIIIIHHQ")
_KINDS: Final = frozenset(int(kind) for kind in kinds.Kind)
_HEADER_BYTES: Final = limits.HEADER_BYTES
_LENGTH_FIELD_BYTES: Final = limits.LENGTH_FIELD_BYTES
_MIN_LENGTH: Final = limits.MIN_LENGTH
_VERSION: Final = limits.PROTOCOL_VERSION
_REQUEST: Final = kinds.REQUEST
_RESPONSE: Final = kinds.RESPONSE
_PLAIN_REQUEST: Final = _VERSION << 24 | _REQUEST << 16
_PLAIN_RESPONSE: Final = _VERSION << 24 | _RESPONSE << 16
"""What stands behind the length of nearly every frame: no flags."""
_BEYOND_64_BITS: Final = 1 << 64
# Names of this module, since each dot is a look-up, four frames a request.
_pack: Final = HEADER.pack
_unpack_from: Final = _FIELDS.unpack_from
_pack_prefix: Final = _LENGTH_VERSION_KIND_FLAGS_ID.pack


Fields = tuple[int, int, int, int, int, int, int, int]
"""Of a header, in their order; version, kind and flags as one number: one question for three."""
_NATIVE: Final = not __file__.endswith(".py")
"""This module is compiled: then bytes are read one by one in a few instructions, and a call of `struct` is dear."""


class Frame:
    """One frame: the header's fields, and `raw`, the whole frame as it came."""

    __slots__ = (
        "flags",
        "kind",
        "opcode",
        "operation_id",
        "principal",
        "raw",
        "request_id",
        "status",
        "timeout_ms",
    )

    def __init__(
        self,
        kind: int,
        flags: int,
        request_id: int,
        timeout_ms: int,
        principal: int,
        opcode: int,
        status: int,
        operation_id: int,
        raw: bytes,
    ) -> None:
        self.kind = kind
        self.flags = flags
        self.request_id = request_id
        self.timeout_ms = timeout_ms
        self.principal = principal
        self.opcode = opcode
        self.status = status
        self.operation_id = operation_id
        self.raw = raw

    @property
    def body(self) -> bytes:
        """The bytes after the header."""
        return self.raw[limits.HEADER_BYTES :]

    def __repr__(self) -> str:  # Bodies may hold secrets: their length is all that may be seen.
        return (
            f"Frame({kinds.Kind(self.kind).name}, id={self.request_id}, opcode={self.opcode:#06x}, "
            f"status={self.status:#06x}, body=<{len(self.raw) - limits.HEADER_BYTES} bytes>)"
        )


def encode_frame(
    kind: int,
    body: bytes = b"",
    *,
    flags: int = 0,
    request_id: int = 0,
    timeout_ms: int = 0,
    principal: int = 0,
    opcode: int = 0,
    status: int = 0,
    operation_id: int = 0,
) -> bytes:
    """Return the bytes of a frame. The caller has checked the peer's maximum."""
    return (
        HEADER.pack(
            limits.MIN_LENGTH + len(body),
            limits.PROTOCOL_VERSION,
            kind,
            flags,
            request_id,
            timeout_ms,
            principal,
            opcode,
            status,
            operation_id,
        )
        + body
    )


def readdress_request(frame: Frame, request_id: int, timeout_ms: int, principal: int) -> bytes:
    """Return the request under another id, time left and principal; flags, body and operation id stay."""
    raw = frame.raw
    length = len(raw) - _LENGTH_FIELD_BYTES
    opcode, operation_id = frame.opcode, frame.operation_id
    return (
        _pack(length, _VERSION, _REQUEST, frame.flags, request_id, timeout_ms, principal, opcode, 0, operation_id)
        + raw[_HEADER_BYTES:]
    )


def readdress_response(frame: Frame, request_id: int) -> bytes:
    """Return the response under another id; everything else stays."""
    raw = frame.raw
    length = len(raw) - _LENGTH_FIELD_BYTES
    return _pack_prefix(length, _VERSION, frame.kind, frame.flags, request_id) + raw[_AFTER_ID:]


def _u16(data: bytes, at: "i64") -> "i64":
    high: i64 = data[at]
    low: i64 = data[at + 1]
    return high << 8 | low


def _u32(data: bytes, at: "i64") -> "i64":
    return _u16(data, at) << 16 | _u16(data, at + 2)


def _u64(data: bytes, at: "i64") -> int:
    signed: i64 = _u32(data, at) << 32 | _u32(data, at + 4)  # compiled, its first bit is the sign
    number: int = signed
    return number if number >= 0 else number + _BEYOND_64_BITS


def _read_fields(data: bytes, at: "i64") -> Fields:
    """Return what `_FIELDS` unpacks there."""
    return (
        _u32(data, at),
        _u32(data, at + 4),
        _u32(data, at + 8),
        _u32(data, at + 12),
        _u32(data, at + 16),
        _u16(data, at + 20),
        _u16(data, at + 22),
        _u64(data, at + 24),
    )


def _header_fault(kind: int, flags: int, timeout_ms: int, principal: int, opcode: int, status: int) -> str | None:
    """Return what is wrong with a header's fields taken together, or None.

    A REQUEST comes here only with flags or a status: the splitter's loop lets the plain ones pass by itself.
    """
    if kind == kinds.REQUEST:
        if status:
            return "a REQUEST has status 0"
        if flags & ~kinds.REQUEST_FLAGS:
            return f"a REQUEST has unknown flags {flags:#06x}"
        return "a REQUEST asks for one durability" if flags == kinds.REQUEST_FLAGS else None
    if kind == kinds.RESPONSE:
        if flags & ~kinds.RESPONSE_FLAGS:
            return f"unknown flags {flags:#06x}"
        if timeout_ms or principal:
            return "a RESPONSE has timeout and principal 0"
        return None
    if flags or timeout_ms or principal or opcode or status:
        return "only REQUEST and RESPONSE have flags, timeout, principal, opcode or status"
    return None


class FrameSplitter:
    """Cuts bytes into frames.

    `max_frame_bytes` is the largest length field taken; it may be raised after WELCOME.
    """

    __slots__ = ("_buffer", "_need", "answers_only", "fault", "max_frame_bytes")

    def __init__(self, max_frame_bytes: int) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.fault: RemoteProtocolError | None = None
        self.answers_only = False
        """What was split last are plain RESPONSEs."""
        self._buffer = bytearray()
        self._need = limits.LENGTH_FIELD_BYTES

    @property
    def buffered(self) -> int:
        """Bytes held of an incomplete frame."""
        return len(self._buffer)

    def discard(self) -> None:
        """Let go of an incomplete frame that nobody will complete."""
        self._buffer = bytearray()

    def split(self, data: bytes) -> list[Frame]:
        """Take the next bytes of the stream; return the frames that are complete now, in order.

        On a malformed frame `fault` is set, and the frames before it are returned.
        """
        if self.fault is not None:
            return []
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._need:
                return []
            data = bytes(self._buffer)
            self._buffer = bytearray()
        return self._cut(data)

    def _cut(self, data: bytes) -> list[Frame]:
        frames: list[Frame] = []
        offset = 0
        end = len(data)
        last = end - _HEADER_BYTES
        most = self.max_frame_bytes
        answers_only = True
        while offset <= last:
            fields: Fields = _read_fields(data, offset) if _NATIVE else _unpack_from(data, offset)
            length, head, request_id, timeout, principal, opcode, status, operation = fields
            if not _MIN_LENGTH <= length <= most:
                break
            kind, flags = _RESPONSE, 0
            if head != _PLAIN_RESPONSE or timeout or principal:
                self.answers_only = answers_only = False
                kind = _REQUEST
                if head != _PLAIN_REQUEST or status:
                    kind, flags = head >> 16 & 0xFF, head & 0xFFFF
                    if head >> 24 != _VERSION or kind not in _KINDS:
                        break
                    wrong = _header_fault(kind, flags, timeout, principal, opcode, status)
                    if wrong is not None:
                        self.fault = RemoteProtocolError(Status.BAD_REQUEST, wrong, request_id)
                        return frames
            stop = offset + length + _LENGTH_FIELD_BYTES
            if stop > end:
                break
            frames.append(
                Frame(kind, flags, request_id, timeout, principal, opcode, status, operation, data[offset:stop])
            )
            offset = stop
        self.answers_only = answers_only
        if offset < end:
            self._keep(data[offset:])
        return frames

    def _keep(self, rest: bytes) -> None:
        """Hold an incomplete frame, or refuse it as soon as its header shows that it is malformed."""
        if len(rest) < limits.LENGTH_FIELD_BYTES:
            self._need = limits.LENGTH_FIELD_BYTES
        else:
            self._need = _LENGTH_VERSION_KIND_FLAGS_ID.size
            length = int.from_bytes(rest[: limits.LENGTH_FIELD_BYTES], "big")
            if length < limits.MIN_LENGTH:
                self.fault = RemoteProtocolError(
                    Status.BAD_REQUEST, f"length {length} is below the {limits.MIN_LENGTH} bytes of a header"
                )
                return
            if len(rest) >= _LENGTH_VERSION_KIND_FLAGS_ID.size:
                self.fault = self._prefix_fault(rest)
                if self.fault is not None:
                    return
                self._need = limits.HEADER_BYTES
            if len(rest) >= limits.HEADER_BYTES:
                self._need = length + limits.LENGTH_FIELD_BYTES
        self._buffer = bytearray(rest)

    def _prefix_fault(self, rest: bytes) -> RemoteProtocolError | None:
        """Return what is wrong with the first 12 bytes of a header, or None."""
        length, version, kind, _flags, request_id = _LENGTH_VERSION_KIND_FLAGS_ID.unpack_from(rest)
        if version != limits.PROTOCOL_VERSION:
            return RemoteProtocolError(
                Status.UNSUPPORTED_VERSION, f"version {version} in the header; this is version 1", request_id
            )
        if kind not in _KINDS:
            return RemoteProtocolError(Status.BAD_REQUEST, f"unknown frame kind {kind}", request_id)
        if length > self.max_frame_bytes:
            return RemoteProtocolError(
                Status.TOO_LARGE,
                f"a frame of {length} bytes; at most {self.max_frame_bytes} are taken",
                request_id,
            )
        return None
