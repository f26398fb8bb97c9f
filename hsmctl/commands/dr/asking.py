"""Whom the commands ask: a node of the DR site, through a proxy or over the local socket of its host."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
import msgspec

from hsm_wire.messages import Empty
from hsmctl.local_node import local_node
from hsmctl.session import Session

_R = TypeVar("_R")
_T = TypeVar("_T", bound=msgspec.Struct)


def socket_option(command: Callable[..., _R]) -> Callable[..., _R]:
    """Add --socket."""
    return click.option(
        "--socket",
        "path",
        type=click.Path(path_type=Path),
        metavar="PATH",
        help="admin.sock in the state_dir of the DR node on this host, as root: no proxy and no certificate is needed.",
    )(command)


def ask(session: Session, path: Path | None, opcode: int, form: type[_T]) -> _T:
    """Return the answer of the node at that socket; None: of a node of the DR site that a proxy reaches.

    Raises:
        HsmError: it was refused, or nobody answers.
        CommandError: the local node cannot be reached.
    """
    if path is not None:
        with local_node(path) as node:
            return node.request(opcode, Empty(), form)
    with session.cluster() as cluster:
        return cluster.request(opcode, Empty(), form)
