"""MessagePack by hand, and values that a form does not want: of every wrong type, too long, out of range, nested."""

import math
import struct
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, NamedTuple

import msgpack
import msgspec
from msgspec import inspect

_LONG_HEADER_BYTES: Final = 5
"""Of bytes and texts of 64 KiB and more."""
DEEP: Final = 20_000
"""Arrays in one another: far more than any decoder follows."""


class Packed(bytes):
    """MessagePack that stands as it is."""

    def __repr__(self) -> str:
        return f"Packed({bytes(self[:20])!r}, {len(self)} bytes)"


class Wide(int):
    """An integer in eight bytes, whatever its size: as good as any other."""


class Filling(NamedTuple):
    """Fills the frame up to its limit, which is 1 MiB, to the byte: whoever makes the body says with how many."""

    unit: str | bytes
    """What is repeated."""


@cache
def form_of(form: type[msgspec.Struct]) -> inspect.StructType:
    """Return what the fields of a form are."""
    kind = inspect.type_info(form)
    assert isinstance(kind, inspect.StructType)
    return kind


def packed(value: Any) -> bytes:
    """Return the MessagePack of a value."""
    if isinstance(value, Packed):
        return bytes(value)
    if isinstance(value, Wide):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, list | tuple):
        return array_header(len(value)) + b"".join(map(packed, value))
    return bytes(msgpack.packb(value, use_bin_type=True))


def filled(fields: list[Any], limit: int) -> list[Any]:
    """Return the fields with what fills the frame in its place, so that their body has that many bytes."""
    empty = _replaced(fields, lambda unit: Packed())
    rest = limit - len(packed(empty)) - _LONG_HEADER_BYTES
    return _replaced(fields, lambda unit: unit * rest)


def _replaced(value: Any, made: Callable[[Any], Any]) -> Any:
    if isinstance(value, Filling):
        return made(value.unit)
    return [_replaced(item, made) for item in value] if isinstance(value, list) else value


def array_header(length: int) -> bytes:
    """Return the beginning of an array."""
    return bytes([0x90 | length]) if length < 16 else b"\xdc" + struct.pack(">H", length)


STRANGERS: Final[list[tuple[str, Any]]] = [
    ("nil", None),
    ("true", True),
    ("false", False),
    ("0", 0),
    ("1", 1),
    ("-1", -1),
    ("2^16", 1 << 16),
    ("2^31", 1 << 31),
    ("2^32 - 1", (1 << 32) - 1),
    ("2^32", 1 << 32),
    ("2^63", 1 << 63),
    ("2^64 - 1", (1 << 64) - 1),
    ("-2^63", -(1 << 63)),
    ("1.0", 1.0),
    ("nan", math.nan),
    ("an empty text", ""),
    ("a text", "text"),
    ("300 letters", "x" * 300),
    ("a text that is not UTF-8", Packed(b"\xa2\xff\xfe")),
    ("an empty array", []),
    ("an array", [0]),
    ("arrays in arrays", [[[[[]]]]]),
    ("arrays without end", Packed(b"\x91" * DEEP + b"\xc0")),
    ("70 numbers", [1] * 70),
    ("an empty map", {}),
    ("a map", {"iv": b"", 0: 0}),
    ("a map with the same key twice", Packed(b"\x82\x01\x01\x01\x02")),
    ("an extension", msgpack.ExtType(5, b"x")),
    ("a time", Packed(b"\xd6\xff" + bytes(4))),
]
"""Values of every type that MessagePack has, with their names."""
LENGTHS: Final = (0, 1, 7, 8, 12, 15, 16, 17, 31, 33, 128, 129, 255, 256)
"""Of bytes: around blocks, nonces, digests and what a context may have."""


def hostile_values(kind: inspect.Type) -> Iterator[tuple[str, Any]]:
    """Give values for a field of that type, most of them wrong."""
    yield from STRANGERS
    if isinstance(kind, inspect.IntType):
        for bound in (kind.ge, kind.le):
            if bound is not None:
                yield from ((f"{bound + step}", bound + step) for step in (-1, 0, 1) if bound + step < 1 << 64)
        yield "2 in eight bytes", Wide(2)
    else:
        yield "text of 1 MiB", Filling("x")
    for length in LENGTHS:
        yield f"{length} bytes", b"\xff" * length
    yield "bytes of 1 MiB", Filling(b"x")


def fits(kind: inspect.Type, value: Any) -> bool:
    """Say whether a value is of a field's type, as the tables of docs/protocol.md state it."""
    if isinstance(kind, inspect.RawType):
        return not isinstance(value, Packed) or len(value) < DEEP
    if isinstance(kind, inspect.UnionType):
        return any(fits(one, value) for one in kind.types)
    if isinstance(kind, inspect.NoneType):
        return value is None
    if isinstance(kind, inspect.BoolType):
        return isinstance(value, bool)
    if isinstance(kind, inspect.IntType):
        if isinstance(value, bool) or not isinstance(value, int):
            return False
        return kind.ge <= value <= kind.le  # type: ignore[operator]  # every number of the wire has both bounds
    if isinstance(kind, inspect.StrType):
        return isinstance(value, str) and len(value) <= (kind.max_length or math.inf)
    if isinstance(kind, inspect.BytesType):
        right = isinstance(value, bytes) and not isinstance(value, Packed)
        return right and (kind.min_length or 0) <= len(value) <= (kind.max_length or math.inf)
    if isinstance(kind, inspect.ListType):
        return (
            _is_list(value)
            and len(value) <= (kind.max_length or math.inf)
            and all(fits(kind.item_type, v) for v in value)
        )
    assert isinstance(kind, inspect.StructType), kind
    return _fits_form(kind, value)


def _fits_form(kind: inspect.StructType, value: Any) -> bool:
    if not _is_list(value) or len(value) > len(kind.fields):
        return False
    missing = kind.fields[len(value) :]
    pairs = zip(kind.fields, value, strict=False)  # the missing ones have their defaults
    return not any(field.required for field in missing) and all(fits(field.type, item) for field, item in pairs)


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)
