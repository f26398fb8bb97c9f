"""Silence: a link that owes answers and brings no byte.

TCP says nothing of a peer that vanished: without this rule, requests on such a link wait for minutes. A link that
owes answers, has nothing left to write and brought no byte for `silence_s` puts its node under suspicion: every link
of the node is pinged at once. If another path answers and this one does not, the path is lost and its requests move to
the other; if nothing comes for as long again, every silent link is lost, and with them the node.
"""

from proxy.core.nodes.node_table import Node
from proxy.core.parties import Link
from proxy.core.settings import Settings


def links_of(node: Node) -> list[Link]:
    """Return the open links of a node."""
    return [link for path in node.paths for link in (path.link, path.bulk) if link is not None]


def forgive(links: list[Link], now: float) -> None:
    """Begin anew: the proxy itself stood still, and what the nodes sent meanwhile is not read yet."""
    for link in links:
        link.heard = now
        link.probed_at = 0.0


def suspect(node: Node, now: float) -> None:
    """Ping every link of the node at once; what does not answer is lost before long."""
    for link in links_of(node):
        if not link.probed_at:
            link.probed_at = now
            link.sink(node.pings.next())


def silent(node: Node, settings: Settings, now: float) -> list[tuple[Link, str]]:
    """Ping what became silent; return the links that are lost, with the reason."""
    health = settings.health
    links = links_of(node)
    if any(_quiet(link, health.silence_s, now) for link in links):
        suspect(node, now)
    lost = []
    for link in links:
        if not link.probed_at:
            continue
        if link.heard > link.probed_at:
            link.probed_at = 0.0
        elif now - link.probed_at >= health.silence_s:
            lost.append((link, f"no answer for {health.silence_s:g} s to a PING after silence"))
        elif now - link.probed_at >= health.path_grace_s and any(_answered(other, link) for other in links):
            lost.append((link, "silent while another path answers"))
    return lost


def _quiet(link: Link, silence_s: float, now: float) -> bool:
    """Say whether the link has become silent just now."""
    if not link.in_flight or link.probed_at:
        return False
    return now - max(link.heard, link.owing_since) >= silence_s and not link.unsent()


def _answered(other: Link, link: Link) -> bool:
    """Say whether another path answered the PING that this link did not."""
    return other.path is not link.path and other.heard > link.probed_at
