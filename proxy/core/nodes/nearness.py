"""Near sites first, for a proxy that is told so: the nodes of the nearest site that serves get the requests.

Theory. Nearness is nothing but a share of the draw. A farther node has next to none while the nearest site has its full
share; what that one lacks, because it starts slowly or is slow, the farther ones make up for. So nothing else has to
know of it: a lost site is out of the rotation, and the next one is the nearest; what a node at its window has no room
for goes on to the others.
"""

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Final

from hsm_cluster.distance import great_circle_km
from hsm_cluster.topology import Site

if TYPE_CHECKING:
    from proxy.core.nodes.node_table import Node

NEXT_TO_NOTHING: Final = 1e-9
"""Part of the nearest site's share that all farther ones have together: never drawn, and a share all the same when
the nearest nodes have no room."""


def distances(sites: Iterable[Site], own: str) -> dict[str, float]:
    """Return how far each site is from the proxy's own, in km; infinitely far where a place is not known."""
    all_sites = {site.name: site for site in sites}
    here = all_sites[own]
    return {name: 0.0 if name == own else _km(here, site) for name, site in all_sites.items()}


def prefer_near(rotation: Sequence["Node"]) -> None:
    """Move the shares of farther nodes to the nearest ones, as far as those can take them."""
    nearest = min((node.distance for node in rotation), default=0.0)
    near = [node for node in rotation if node.distance == nearest]
    far = [node for node in rotation if node.distance != nearest]
    full = sum(node.weight for node in near)
    lacking = max(full - sum(node.share for node in near), full * NEXT_TO_NOTHING)
    shares = sum(node.share for node in far)
    for node in far:
        node.share *= lacking / shares


def _km(here: Site, there: Site) -> float:
    places = here.latitude, here.longitude, there.latitude, there.longitude
    known = [place for place in places if place is not None]
    return great_circle_km(*known) if len(known) == len(places) else inf
