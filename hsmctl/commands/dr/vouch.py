"""hsmctl dr vouch: an operator says that the DR site was not promoted."""

from pathlib import Path

import click
import msgspec

from hsm_wire.administration import DrPromotion, DrVouch
from hsm_wire.messages import Empty, InfoResult
from hsm_wire.opcodes import Opcode
from hsmctl.commands.dr.asking import socket_option
from hsmctl.commands.dr.hosts import folder_option, host_of
from hsmctl.commands.dr.naming import ask_for_name
from hsmctl.local_node import local_node
from hsmctl.session import Session, cluster_options


class _Vouched(msgspec.Struct, frozen=True):
    cluster: str
    nodes: list[str]
    epoch: int


@click.command()
@socket_option
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.option("--site", metavar="NAME", help="The old site, in `hsmctl dev`, which has all sites on one host.")
@folder_option
@cluster_options
def vouch(session: Session, path: Path | None, yes: bool, site: str | None, folder: Path | None) -> None:
    """Say that the DR site was not promoted, to nodes of this host that were started and cannot ask it. Run it as root.

    Until they know it, they serve as stale and change no key. Be sure: if the DR site was promoted, both sides change
    keys from now on.

    Example: hsmctl dr vouch
    """
    sockets = host_of(session, folder, site).sockets if path is None else [path]
    with local_node(sockets[0]) as node:
        cluster = node.request(Opcode.INFO, Empty(), InfoResult).cluster
    if not yes:
        ask_for_name(f"The DR site of {cluster} was not promoted", cluster)
    nodes, epoch = [], 0
    for socket in sockets:
        with local_node(socket) as node:
            nodes.append(node.request(Opcode.INFO, Empty(), InfoResult).node)
            epoch = node.request(Opcode.DR_VOUCH, DrVouch(cluster), DrPromotion).epoch
    done = _Vouched(cluster, nodes, epoch)
    session.out.result(msgspec.to_builtins(done), f"{', '.join(nodes)} may serve and change keys of epoch {epoch}")
