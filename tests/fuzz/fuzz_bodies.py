"""Invariant: any bytes are, for any form, either refused with BodyError or a body whose encoding reads back as the
same body; its repr shows no bytes of it; nothing else is raised.

Input: bodies one after the other, each after two bytes that choose the form (by a checksum of its name, so that a new
form does not turn the corpus into noise) and two of its length. Run: see `run.py`.
"""

import bisect
import sys
import zlib
from collections.abc import Callable

import msgspec
from fuzz_input import Input

from hsm_wire import administration, backup_messages, messages, objects, parameters
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body, encode_body

FORMS: list[type[msgspec.Struct]] = sorted(
    {
        form
        for module in (messages, objects, administration, backup_messages, parameters)
        for form in vars(module).values()
        if isinstance(form, type) and issubclass(form, msgspec.Struct) and form.__module__.startswith("hsm_wire.")
    },
    key=lambda form: form.__name__,
)
Decode = Callable[[type[msgspec.Struct], bytes], msgspec.Struct]


def number_of(form: type[msgspec.Struct]) -> int:
    return zlib.crc32(form.__name__.encode()) & 0xFFFF


NUMBERS = sorted((number_of(form), form.__name__, form) for form in FORMS)


def form_of(number: int) -> type[msgspec.Struct]:
    """Return the form of that number, or the next one."""
    return NUMBERS[bisect.bisect_left(NUMBERS, (number,)) % len(NUMBERS)][2]


def one(data: bytes, decode: Decode = decode_body) -> None:
    """Check one input; `decode` is there for the negative control."""
    source = Input(data)
    while source.more:
        form = form_of(source.number(2))
        check(form, source.take(source.number(2)), decode)


def check(form: type[msgspec.Struct], data: bytes, decode: Decode) -> None:
    try:
        body = decode(form, data)
    except BodyError:
        return
    encoded = encode_body(body)
    assert encode_body(decode(form, encoded)) == encoded, "the encoding reads back as another body"
    if isinstance(body, messages.Body):
        text = repr(body)
        for name in body.__struct_fields__:
            value = getattr(body, name)
            if isinstance(value, bytes) and not name.endswith("_id"):
                assert f"{name}=<{len(value)} bytes>" in text, f"{name} is shown"


if __name__ == "__main__":
    import run

    run.inside("bodies", sys.argv[1:])
