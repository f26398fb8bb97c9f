"""hsmctl node: what the operator wants of a node."""

import click

from hsm_wire.administration import ClusterState, RemovedNode, RemoveNode, SetNodeState
from hsm_wire.opcodes import Opcode
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options


@click.group()
def node() -> None:
    """Take nodes out of service and back, or out for good; the wish is kept in the store, so it survives restarts.

    Example: hsmctl node drain node-1
    """


def _set(session: Session, name: str, state: str, done: str) -> None:
    with session.cluster() as cluster:
        result = cluster.request(Opcode.SET_NODE_STATE, SetNodeState(name, state), ClusterState)
    nodes = {found.node: found.administrative_state for found in result.nodes}
    if "ready" not in nodes.values():
        done += "; no node is left to serve"
    session.out.result({"node": name, "administrative_state": nodes[name]}, f"{name}: {done}")


@node.command()
@click.argument("name")
@cluster_options
def drain(session: Session, name: str) -> None:
    """Give node NAME no new requests; what it has is finished.

    Example: hsmctl node drain node-1
    """
    _set(session, name, "drain", "gets no new requests; `hsmctl node enable` brings it back")


@node.command()
@click.argument("name")
@cluster_options
def maintain(session: Session, name: str) -> None:
    """The same as drain, and says that somebody works on node NAME.

    Example: hsmctl node maintain node-1
    """
    _set(session, name, "maintain", "is under maintenance and gets no requests; `hsmctl node enable` brings it back")


@node.command()
@click.argument("name")
@cluster_options
def enable(session: Session, name: str) -> None:
    """Let node NAME serve again.

    Example: hsmctl node enable node-1
    """
    _set(session, name, "ready", "serves again, slowly at first")


@node.command()
@click.argument("name")
@cluster_options
def remove(session: Session, name: str) -> None:
    """Have the store forget node NAME, which is off for good: no change waits for it or names it any more.

    Take it out of cluster.toml first, and reload. A node that is alive is refused: stop it. One that runs and does not
    reach the store looks as if it were off; it serves no more from its next contact on.

    Example: hsmctl node remove node-4
    """
    with session.cluster() as cluster:
        removed = cluster.request(Opcode.REMOVE_NODE, RemoveNode(name), RemovedNode)
    if removed.was_registered:
        text = "no change waits for it any more"
    else:
        known = ", ".join(map(printable, removed.registered))
        text = f"nothing to remove: {f'the store knows {known}' if known else 'no change waits for any node'}"
    session.out.result(
        {"node": name, "was_registered": removed.was_registered, "registered": removed.registered}, f"{name}: {text}"
    )
