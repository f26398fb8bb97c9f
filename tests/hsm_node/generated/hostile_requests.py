"""Requests with one thing wrong, made from the tables of mechanisms and forms: in every field of every use."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from expected_statuses import Expected, Statuses
from good_requests import Good, GoodRequests, good_parameters
from key_materials import SMALLEST
from msgspec.inspect import BytesType
from wire_values import Packed, Wide, filled, form_of, hostile_values, packed

from hsm_wire import limits
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_USAGES, PolicyFlag, Usage

MAX_BODY_BYTES: Final = limits.DEFAULT_MAX_FRAME_BYTES - limits.MIN_LENGTH
_ECB: Final = 0x1081
_BYTE_FIELDS: Final = ("data", "signature", "wrapped", "ciphertext")
_POLICIES: Final = ([0x80], [1 << 31], [0, [_ECB]], [0, [1] * 64], [0, [1] * 65], [0, [], 2, 1], [0, [], 0, 0, 1])
_LABELS: Final = ("\x00", "a\nb", "\x1b[31m", "\u202eback", "\u2028", "é" * 128, "é" * 129)


@dataclass(frozen=True)
class Hostile:
    """One request, and the statuses of which one must be its answer."""

    name: str
    opcode: int
    body: bytes
    expected: Statuses

    @property
    def refused(self) -> bool:
        """Whether it must not be done."""
        return Status.OK not in self.expected


class HostileRequests:
    """Makes them of good ones."""

    def __init__(self, requests: GoodRequests) -> None:
        self._expected = Expected(requests.keys.made, requests.offered)
        keys = requests.keys
        self._others = {
            f"a {family} key": keys.new(name, KEY_TYPES[name].default_usages, whose="theirs")
            for family, name in SMALLEST.items()
        }
        # Of each family one that has every flag, but only usages that nobody asks for here.
        everything = PolicyFlag(0x7E)
        for family, name in SMALLEST.items():
            for usage in KEY_TYPES[name].usages & ~(Usage.WRAP | Usage.UNWRAP):
                self._others[f"a {family} key to {usage.name}"] = keys.new(name, usage, everything, "theirs")
        self._others["an exportable key of 256 bits"] = keys.new("aes-256", Usage.ENCRYPT, PolicyFlag.EXPORTABLE)

    def of(self, good: Good) -> Iterator[Hostile]:
        """Give every hostile request of one use."""
        for name, fields in self._fields(good):
            fields = dict(zip(fields, filled(list(fields.values()), MAX_BODY_BYTES), strict=True))
            body = packed(list(fields.values()))
            yield Hostile(f"{good.name}: {name}", good.opcode, body, self._expected.statuses(good, fields))
        for name, body in _bodies(good):
            yield Hostile(f"{good.name}: {name}", good.opcode, body, {Status.BAD_REQUEST})

    def _fields(self, good: Good) -> Iterator[tuple[str, dict[str, Any]]]:
        """Give (what is wrong, fields)."""
        for place, name, value in self._wrong(good):
            yield f"{place} {name}", {**good.fresh(), place: value}
        if "key_type" in good.fields:
            for place, value in _new_keys():
                yield f"{place} is {value!a}", {**good.fresh(), place: value}

    def _wrong(self, good: Good) -> Iterator[tuple[str, str, Any]]:
        """Give (field, what is wrong with it, its value)."""
        for field in form_of(OPERATIONS[good.opcode].request).fields:
            for name, value in hostile_values(field.type):
                if field.name != good.new_key or value != b"\xff" * 16:  # which would be there the second time
                    yield field.name, f"is {name}", value
        for name, parameters in _parameters(good):
            yield "parameters", name, parameters
        for number in (_ECB, *MECHANISMS):
            yield "mechanism", f"is {number:#06x}", number
        yield "mechanism", "is in eight bytes", Wide(good.mechanism.number)
        for place, value in good.fields.items():
            if place.endswith("key_id"):
                yield from ((place, f"is {name}", key_id) for name, key_id in self._others.items())
            elif place in _BYTE_FIELDS:
                yield from ((place, name, near) for name, near in _near(value))


def _new_keys() -> Iterator[tuple[str, Any]]:
    """Give wishes for the key to be made."""
    yield from (("key_type", key_type) for key_type in KEY_TYPES)
    yield from (("usage", 1 << bit) for bit in range(32))
    yield "usage", int(ALL_USAGES)
    yield from (("label", label) for label in _LABELS)
    yield from (("policy", policy) for policy in (*_POLICIES, *([int(flag)] for flag in PolicyFlag)))


def _parameters(good: Good) -> Iterator[tuple[str, Any]]:
    """Give parameters with one thing wrong: each field, the whole, and the forms of all other mechanisms."""
    own, mechanism = good.fields["parameters"], good.mechanism
    if mechanism.parameters is not None:
        for place, field in enumerate(form_of(mechanism.parameters).fields):
            for name, value in (*hostile_values(field.type), *_near(own[place])):
                yield f"{field.name} is {name}", [*own[:place], value, *own[place + 1 :]]
        for length in range(len(own)):
            yield f"only {length} fields", own[:length]
        yield "every field twice", own * 2
        yield "one field too many", [*own, None]
        yield "in an array", [own]
        yield "as a map", dict(zip(mechanism.parameters.__struct_fields__, own, strict=True))
        yield "as bytes", packed(own)
        yield "with a byte that means nothing", [*own[:-1], Packed(b"\xc1")]
    for other in MECHANISMS.values():
        if other.parameters is not mechanism.parameters:
            yield f"those of {other.alias}", good_parameters(other, Usage(0), other.families[0])


def _near(value: Any) -> Iterator[tuple[str, Any]]:
    """Give what is nearly the good value."""
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int):
        for number in (value - 1, value + 1, 2 * value, 0x220, value << 32):
            yield f"{number}", number
        return
    yield "is empty", b""
    yield "has zeros only", bytes(len(value))
    yield "has ones only", b"\xff" * len(value)
    for length in (len(value) - 16, len(value) - 1, len(value) + 1, len(value) + 15, len(value) + 16, 2 * len(value)):
        yield f"has {length} bytes", (value * 3)[: max(length, 0)] if value else b"\x00" * max(length, 0)
    half = len(value) // 2
    yield "with a zero in the middle", value[:half] + b"\0" + value[half:]
    for bit in {0, 7, 8 * len(value) // 2, 8 * len(value) - 1} if value else ():
        flipped = int.from_bytes(value) ^ 1 << bit
        yield f"with bit {bit} flipped", flipped.to_bytes(len(value))


def _bodies(good: Good) -> Iterator[tuple[str, bytes]]:
    """Give bodies that are not the array that the operation wants."""
    fields = good.fresh()
    values, body = list(fields.values()), packed(list(fields.values()))
    form = form_of(OPERATIONS[good.opcode].request)
    required = sum(field.required for field in form.fields)
    for length in range(required):
        yield f"only {length} fields", packed(values[:length])
    yield "one field too many", packed([*values, *[0] * (len(form.fields) - len(values)), None])
    yield "every field twice", packed(values * 2)
    yield "the array in an array", packed([values])
    yield "a map", packed(_as_map(fields))
    yield "an array of 2^32 - 1 that does not come", b"\xdd\xff\xff\xff\xff" + body[1:]
    yield "bytes of 2^32 - 1 that do not come", body[:1] + b"\xc6\xff\xff\xff\xff" + body[19:]
    yield "a byte behind it", body + b"\xc0"
    yield "the body twice", body * 2
    yield "a byte that means nothing", b"\xc1" + body[1:]
    yield "no byte", b""
    for cut in (1, len(body) // 2, len(body) - 1):
        yield f"cut off after {cut} bytes", body[:cut]
    for name, value in hostile_values(BytesType()):
        yield f"{name} instead of it", packed(filled([value], MAX_BODY_BYTES)[0])


def _as_map(fields: Mapping[str, Any]) -> Packed:
    pairs = b"".join(packed(name) + packed(value) for name, value in fields.items())
    return Packed(bytes([0x80 | len(fields)]) + pairs)
