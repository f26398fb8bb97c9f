"""What nodes say of the store that they share: which node is out for it, and which of its members they can use.

Of a node that is out, those know that follow the store; a member is out when no node that looks at it can use it.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from hsm_wire.limits import MAX_NODES_OUT
from hsm_wire.messages import StoreMemberReport
from proxy.core.nodes.node_table import LACKING, STANDBY, UP, Node

_FOLLOWING: Final = (UP, LACKING, STANDBY)


def nodes_out(nodes: Iterable[Node]) -> list[str]:
    """Return the nodes that answers to changes name, those that are out of the configuration too."""
    told = {name for node in nodes if node.reached and node.reported in _FOLLOWING for name in node.nodes_out}
    return sorted(told)[:MAX_NODES_OUT]


def store_members(nodes: Iterable[Node]) -> list[StoreMemberReport]:
    """Return the members of the store, by their addresses; none where it has none."""
    faults: dict[str, list[str]] = {}
    for node in nodes:
        if node.reached:
            for member in node.store_members:
                faults.setdefault(member.address, []).append(member.fault)
    return [
        StoreMemberReport(address, told.count(""), len(told), next((fault for fault in told if fault), ""))
        for address, told in sorted(faults.items())
    ]


def store_problems(nodes: Iterable[Node]) -> Iterator[str]:
    """Yield what an operator has to do something about, a sentence each."""
    nodes = list(nodes)
    for name in nodes_out(nodes):
        then = f"bring it back, or, if it is off for good, `hsmctl node remove {name}`"
        yield f"{name} is out: it did not confirm a change, and every change names it; {then}"
    for member in store_members(nodes):
        if not member.usable_for:
            yield f"store member {member.address} is out ({member.fault}): mend it before another one goes"
