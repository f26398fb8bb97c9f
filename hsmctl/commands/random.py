"""hsmctl random."""

from typing import Any

import click

from hsm_wire.limits import MAX_RANDOM_BYTES
from hsmctl.files import write_output
from hsmctl.session import Session, cluster_options


class Length(click.ParamType[int]):
    """A number of bytes."""

    name = "length"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number, or say which ones may be asked for."""
        if str(value).startswith("--"):
            raise click.NoSuchOption(value, ctx=ctx)
        try:
            length = int(value)
        except ValueError:
            length = 0
        if not 1 <= length <= MAX_RANDOM_BYTES:
            self.fail(f"{value!r} is no number of bytes from 1 to {MAX_RANDOM_BYTES}.", param, ctx)
        return length


# An option that we do not know is taken for the length, so that -5 is refused as the number that it is.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("length", type=Length())
@click.option(
    "--out",
    metavar="F",
    help="File for the raw bytes, - for standard output; without it hexadecimal digits are printed.",
)
@cluster_options
def random(session: Session, length: int, out: str | None) -> None:
    """Fetch LENGTH random bytes from a node.

    Example: hsmctl random 32
    """
    with session.cluster() as cluster:
        data = cluster.random(length)
    # With --json, standard output has the JSON alone, and the bytes are in it.
    if out is not None and not (out == "-" and session.out.as_json):
        write_output(out, data)
        session.out.result({"length": length, "out": out})
    else:
        session.out.result({"length": length, "data": data.hex()}, data.hex())
