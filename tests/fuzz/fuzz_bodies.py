"""Invariant: any bytes are, for any form, either refused with BodyError or a body whose encoding reads back as the
same body; its repr shows no bytes of it; nothing else is raised.

Input: one byte that chooses the form, the body. Run: see `run.py`.
"""

import sys
from collections.abc import Callable

import msgspec

from hsm_wire import administration, messages, objects, parameters
from hsm_wire.errors import BodyError
from hsm_wire.messages import decode_body, encode_body

FORMS: list[type[msgspec.Struct]] = sorted(
    {
        form
        for module in (messages, objects, administration, parameters)
        for form in vars(module).values()
        if isinstance(form, type) and issubclass(form, msgspec.Struct) and form.__module__.startswith("hsm_wire.")
    },
    key=lambda form: form.__name__,
)
Decode = Callable[[type[msgspec.Struct], bytes], msgspec.Struct]


def one(data: bytes, decode: Decode = decode_body) -> None:
    """Check one input; `decode` is there for the negative control."""
    if not data:
        return
    form = FORMS[data[0] % len(FORMS)]
    try:
        body = decode(form, data[1:])
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
