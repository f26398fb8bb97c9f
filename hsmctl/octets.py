"""Bytes that are short enough to stand on the command line."""

from typing import Any

import click


class Octets(click.ParamType[bytes]):
    """Text (UTF-8), or bytes written as `hex:00ff`."""

    name = "octets"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Return the bytes, or say how to write them."""
        if isinstance(value, bytes):
            return value
        if not value.startswith("hex:"):
            return str(value).encode(errors="surrogateescape")
        try:
            return bytes.fromhex(value.removeprefix("hex:"))
        except ValueError:
            return self.fail("after hex: stand pairs of hex digits, hex:00ff for example.", param, ctx)
