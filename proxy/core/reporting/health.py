"""Whether the cluster does well, and what is wrong where it does not: a sentence for each thing."""

from collections.abc import Iterator
from typing import Final

from proxy.core.changes import duration_words, short_reason
from proxy.core.nodes.node_table import LACKING, READY, STALE, STANDBY, Node, NodeTable
from proxy.core.reporting.expiry import EXPIRED
from proxy.core.reporting.sentences import RELOAD_FAILED

SERVING: Final = "serving"
DEGRADED: Final = "degraded"
DOWN: Final = "down"


def health(table: NodeTable, problems: list[str]) -> str:
    """Return `serving`: all nodes serve that should, and nothing else is wrong; `degraded`: requests are served, but
    something is wrong; or `down`: no node serves."""
    if not table.rotation:
        return DOWN
    return DEGRADED if problems else SERVING


def problems(table: NodeTable) -> Iterator[str]:
    """Yield what is wrong with the nodes. What an operator has taken out, or what waits for a disaster, is not."""
    if not table.rotation:
        yield table.outage
    for node in table.nodes:
        if node.operational == STANDBY:
            if node.said:
                yield f"{node.name} stands by and could not serve as it is: {node.said}"
        elif node.administrative == READY:
            yield from _of_node(node, serves=node in table.rotation)


def _of_node(node: Node, *, serves: bool) -> Iterator[str]:
    if not serves:
        yield f"{node.name} does not serve: {node.why or node.operational}"
        return
    if node.operational == STALE:
        yield f"{node.name} serves with an old state of the store: {node.why}"
    if node.operational == LACKING:
        yield f"{node.name} serves and is not fit for it: {node.why}"
    down = [path for path in node.paths if not path.up]
    if down:
        why = short_reason([path.reason for path in down]) or "; ".join(path.reason for path in down)
        yield f"{node.name} does not answer over {', '.join(path.uplink for path in down)}: {why}"
    for fault in node.store_faults.values():
        yield f"store of {node.name}: {fault}"
    if node.slowness < 1.0:
        yield f"{node.name} is slow and gets fewer requests"


def problems_of_proxy(*, overload: str, urgent_s: float | None, reload_failed: bool) -> Iterator[str]:
    """Yield what is wrong with the load, and with this proxy.

    Args:
        overload: the limit that refuses requests; empty while there is no overload.
        urgent_s: until this proxy's certificate expires, once that is urgent.
        reload_failed: the newest configuration has a fault.
    """
    if overload:
        yield f"overload: requests are refused ({overload})"
    if urgent_s is not None and urgent_s <= 0:
        yield EXPIRED
    elif urgent_s is not None:
        yield f"this proxy's certificate expires in {duration_words(urgent_s)}"
    if reload_failed:
        yield RELOAD_FAILED
