"""hsmctl random."""

import click

from hsm_wire.limits import MAX_RANDOM_BYTES
from hsmctl.files import write_output
from hsmctl.session import Session, cluster_options


@click.command()
@click.argument("length", type=click.IntRange(1, MAX_RANDOM_BYTES))
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
