"""hsmctl dr demote: the old sites take over again."""

from pathlib import Path

import click
import msgspec

from hsm_wire.administration import DrDemote, DrReturn
from hsm_wire.messages import Empty, InfoResult
from hsm_wire.opcodes import Opcode
from hsmctl.commands.dr.hosts import folder_option, host_of
from hsmctl.commands.dr.naming import ask_for_name
from hsmctl.local_node import local_node
from hsmctl.session import Session, cluster_options


class _Demoted(msgspec.Struct, frozen=True):
    cluster: str
    node: str
    epoch: int
    promoted: bool


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@folder_option
@cluster_options
def demote(session: Session, yes: bool, folder: Path | None) -> None:
    """Have the DR site stand by again: run it as root on a host of that site. It asks for the cluster's name.

    Refused until the old sites have caught up: each member of the store has all changes, and so has each node of theirs
    that follows it. Clients notice nothing.

    Example: hsmctl dr demote
    """
    socket = host_of(session, folder).sockets[0]
    with local_node(socket) as node:
        cluster = node.request(Opcode.INFO, Empty(), InfoResult).cluster
    if not yes:
        ask_for_name(f"The DR site of {cluster} is to stand by", cluster)
    with local_node(socket) as node:
        done = node.request(Opcode.DR_DEMOTE, DrDemote(cluster), DrReturn)
    text = f"the DR site of {cluster} stands by again, epoch {done.epoch}; the other sites serve"
    session.out.result(msgspec.to_builtins(_Demoted(cluster, done.node, done.epoch, done.promoted)), text)
