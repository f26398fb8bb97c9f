"""hsmctl status."""

import click
import msgspec

from hsmctl.failures import UNREACHABLE, CommandError
from hsmctl.printable import printable
from hsmctl.session import Session, cluster_options

IN_ROTATION = "up"
OUTDATED = "stale"


@click.command()
@cluster_options
def status(session: Session) -> None:
    """Show proxy, nodes and paths; exit 0 while the cluster serves.

    state is how a node does; administrative is what `hsmctl node` asked for. requests counts the answers of a node,
    moved the requests that left it for another node; both since the proxy started. A line `store of NODE` says what
    its store lacks, or how it differs, compared with those of other nodes.

    Example: hsmctl status --json
    """
    with session.cluster() as cluster:
        seen = cluster.status()
    document = msgspec.json.decode(msgspec.json.encode(_as_map(seen)))
    if not session.out.as_json:
        where = f"cluster {seen.cluster}, proxy {seen.proxy} in {seen.site}, {seen.clients} clients connected"
        session.out.result(None, printable(where))
    rows = [
        [
            node.name,
            node.site,
            node.state,
            node.administrative_state,
            str(node.requests),
            str(node.failures),
            node.reason,
        ]
        for node in seen.nodes
    ]
    session.out.table(document, ["node", "site", "state", "administrative", "requests", "moved", "reason"], rows)
    for node in seen.nodes:
        if node.store_fault and not session.out.as_json:
            session.out.result(None, printable(f"store of {node.name}: {node.store_fault}"))
    # An outdated node serves where no other one does.
    up = [node for node in seen.nodes if node.state == IN_ROTATION or (node.outdated and node.state == OUTDATED)]
    if not up:
        raise CommandError("no node serves; see the reasons above and the nodes' logs", UNREACHABLE)
    if all(node.administrative_state != "ready" for node in up):
        raise CommandError("no node serves: all that are up are drained; hsmctl node enable NAME", UNREACHABLE)


def _as_map(value: object) -> object:
    # Bodies are arrays on the wire; people and programs want names.
    if isinstance(value, msgspec.Struct):
        return {name: _as_map(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, list):
        return [_as_map(item) for item in value]
    return value
