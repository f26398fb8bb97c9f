"""The log of a member that was ended: what it had written down counts, also where it had not yet noted that it does.

Theory. A member writes an entry to its log before it confirms it, and that the others have confirmed it too only with
the next one. So the last entries of a log may be acknowledged, and not noted as such; etcd's --force-new-cluster drops
these. The note is appended here: a record with the last entry's index as the one up to which all counts. Entries that
nobody acknowledged count then as well: whoever sent them was told that it is not known whether they were done.

A file is a row of frames: eight bytes of length (with the padding to a multiple of eight), then type, a running CRC-32C
and data as Protocol Buffers. Behind the last frame are zeros. etcd checks every sum when it reads the log.
"""

import itertools
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
"""CRC-32C, its bits reversed."""
_ENTRY: Final = 2
_STATE: Final = 3
_SUM: Final = 4
_KNOWN: Final = (1, _ENTRY, _STATE, _SUM, 5)
_SECTOR: Final = 512
"""What a disk writes whole or not at all."""
_TYPE_FIELD, _SUM_FIELD, _DATA_FIELD = 1, 2, 3
_TERM, _VOTE, _COMMIT, _INDEX = 1, 2, 3, 3


@dataclass
class _Tail:
    """The end of a log."""

    end: int = 0
    sum: int = 0
    before_sum: int = 0
    data: bytes = field(default=b"", repr=False)
    index: int = 0
    state: dict[int, int] = field(default_factory=dict)


def count_all(log: Path) -> bool:
    """Have all entries of the log in that folder count; False: nothing was changed, for they do, or it is unknown.

    Raises:
        OSError: it cannot be read or written.
    """
    files = sorted(log.glob("*.wal"))
    if not files:
        return False
    content = files[-1].read_bytes()
    tail = _Tail(index=_before(files[-1]))
    try:
        whole = _walk(content, tail)
    except (ValueError, IndexError):
        return False
    good = tail.end == 0 or _crc(tail.data, tail.before_sum) == tail.sum
    if not (whole and good and tail.state) or tail.state.get(_COMMIT, 0) >= tail.index:
        return False
    with files[-1].open("r+b") as file:
        file.truncate(tail.end)
        file.seek(tail.end)
        file.write(_frame(tail))
        file.flush()
        os.fsync(file.fileno())
    return True


def _walk(content: bytes, tail: _Tail) -> bool:
    """Go to the end; False: something is there that no crash leaves."""
    while tail.end + 8 <= len(content):
        head: int = struct.unpack_from("<q", content, tail.end)[0]
        if head == 0:
            return True
        size, padding = head & ((1 << 56) - 1), (head >> 56) & 7 if head < 0 else 0
        first = tail.end + 8
        frame = content[first : first + size]
        if len(frame) < size:
            return False
        torn = _is_torn(frame, first)
        try:
            kind, number, data = _record(frame)
        except (ValueError, IndexError):
            return torn
        if torn and kind != _SUM and _crc(data, tail.sum) != number:
            return True
        tail.before_sum = number if kind == _SUM else tail.sum
        tail.data, tail.sum, tail.end = b"" if kind == _SUM else data, number, first + size + padding
        if kind == _ENTRY:
            tail.index = _numbers(data).get(_INDEX, 0)
        elif kind == _STATE:
            tail.state = _numbers(data)
    return True


def _record(frame: bytes) -> tuple[int, int, bytes]:
    """Return type, sum and data.

    Raises:
        ValueError, IndexError: it is none.
    """
    found = _fields(frame)
    kind, number, data = found.get(_TYPE_FIELD), found.get(_SUM_FIELD, 0), found.get(_DATA_FIELD, b"")
    if kind not in _KNOWN or not (isinstance(number, int) and isinstance(data, bytes)):
        raise ValueError("not a record of etcd's log")
    return kind, number, data


def _is_torn(frame: bytes, first: int) -> bool:
    """Whether a sector of a frame that begins there is empty, as one is that was never written."""
    cuts = [0, *range(_SECTOR - first % _SECTOR, len(frame), _SECTOR), len(frame)]
    return any(not any(frame[begin:end]) for begin, end in itertools.pairwise(cuts))


def _frame(tail: _Tail) -> bytes:
    state = {**tail.state, _COMMIT: tail.index}
    data = b"".join(bytes([field << 3]) + _varint(state.get(field, 0)) for field in (_TERM, _VOTE, _COMMIT))
    record = b"\x08" + _varint(_STATE) + b"\x10" + _varint(_crc(data, tail.sum)) + b"\x1a" + _varint(len(data)) + data
    padding = -len(record) % 8
    head = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return struct.pack("<Q", head) + record + bytes(padding)


def _before(file: Path) -> int:
    """Return the index of the last entry before that file: its name has the next one."""
    return int(file.stem.rpartition("-")[2], 16) - 1


def _numbers(data: bytes) -> dict[int, int]:
    return {field: value for field, value in _fields(data).items() if isinstance(value, int)}


def _fields(data: bytes) -> dict[int, int | bytes]:
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        value, at = _read_varint(data, at)
        if key & 7 == 0:
            found[key >> 3] = value
        elif key & 7 == 2 and at + value <= len(data):
            found[key >> 3] = data[at : at + value]
            at += value
        else:
            raise ValueError("not a record of etcd's")
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = (number >> 1) ^ (_POLYNOMIAL if number & 1 else 0)
        table.append(number)
    return table


_TABLE: Final = _table()


def _crc(data: bytes, before: int) -> int:
    running = before ^ 0xFFFFFFFF
    for byte in data:
        running = _TABLE[(running ^ byte) & 0xFF] ^ (running >> 8)
    return running ^ 0xFFFFFFFF
