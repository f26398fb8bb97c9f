"""What all bodies have in common: the array form, the types of fields, the codec.

Strict in: a missing field without a default, a wrong type, a value out of range or a field too many is refused
with one sentence. A later minor version may append fields that have a default, never remove or reorder any.
"""

from typing import Annotated, Any, TypeVar

import msgspec

from hsm_wire import limits
from hsm_wire.errors import BodyError

U16 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
U32 = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF_FFFF)]
U63 = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Measure = Annotated[float, msgspec.Meta(ge=0, le=1e15)]
"""A rate, a share or a time. Not a number and infinity are outside of every range."""
Degrees = Annotated[float, msgspec.Meta(ge=-180, le=180)]
KeyId = Annotated[bytes, msgspec.Meta(min_length=limits.MAX_KEY_ID_BYTES, max_length=limits.MAX_KEY_ID_BYTES)]
"""16 bytes chosen by the caller's library (UUIDv7, RFC 9562), unique within its partition."""
Label = Annotated[str, msgspec.Meta(max_length=limits.MAX_LABEL_CHARACTERS)]
TypeName = Annotated[str, msgspec.Meta(max_length=32)]
Name = Annotated[str, msgspec.Meta(max_length=limits.MAX_NAME_CHARACTERS)]
Digest = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class Body(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Base of all bodies."""

    def __repr__(self) -> str:  # Plaintexts, shares and random bytes may be secret: only ids are shown as they are.
        fields = ", ".join(f"{name}={_shown(name, getattr(self, name))}" for name in self.__struct_fields__)
        return f"{type(self).__name__}({fields})"


def _shown(name: str, value: object) -> str:
    if isinstance(value, bytes) and name.endswith("_id"):
        return value.hex()
    if isinstance(value, bytes | msgspec.Raw):
        return f"<{len(bytes(value))} bytes>"
    if isinstance(value, list):
        return f"[{', '.join(_shown('', item) for item in value)}]"
    return repr(value)


class Empty(Body, frozen=True):
    """No fields: the empty array, byte 0x90."""


class Failure(Body, frozen=True):
    """Body of every RESPONSE whose status class is not 0."""

    detail: Annotated[str, msgspec.Meta(max_length=limits.MAX_DETAIL_CHARACTERS)]
    """What is wrong and what to do, in one sentence; nothing about the inside."""
    retry_after_ms: U32 = 0
    """How long to wait before sending again; 0 = as the caller likes."""


NIL = msgspec.Raw(b"\xc0")


class Unconfirmed(Body, frozen=True):
    """Body of OK_UNCONFIRMED and OK_DR_PENDING: who did not confirm, and what was done."""

    unconfirmed: list[Name]
    """Nodes, and behind them the DR site where that was waited for and does not have it yet."""
    result: msgspec.Raw = NIL
    """What the body of OK would be; nil where it is no more to be had: then ask again."""


NIL_PARAMETERS = NIL
EMPTY_BODY = b"\x90"

_B = TypeVar("_B", bound=msgspec.Struct)
_encoder = msgspec.msgpack.Encoder()
_decoders: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def named_fields(body: msgspec.Struct) -> dict[str, Any]:
    """Return a body as JSON has it for people and programs: the wire's arrays, with the names of their fields."""
    return {name: _named(getattr(body, name)) for name in body.__struct_fields__}


def _named(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        return named_fields(value)
    return [_named(each) for each in value] if isinstance(value, list) else value


def encode_body(body: msgspec.Struct) -> bytes:
    """Return the MessagePack bytes of a body."""
    return _encoder.encode(body)


def decode_body(form: type[_B], data: bytes | memoryview | msgspec.Raw) -> _B:
    """Return the body of that form.

    Raises:
        BodyError: the bytes are not exactly that array; its text says where.
    """
    decoder = _decoders.get(form)
    if decoder is None:
        decoder = _decoders[form] = msgspec.msgpack.Decoder(form)
    try:
        return decoder.decode(data)  # type: ignore[return-value]  # the table maps each form to its own decoder
    except RecursionError:
        reason = "arrays or maps too deep in one another"
    except UnicodeDecodeError:
        reason = "a text that is not UTF-8"
    except msgspec.DecodeError as error:
        reason = str(error)[:200]
    raise BodyError(f"the body is not a {form.__name__}: {reason}")
