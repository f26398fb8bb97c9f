"""A cluster of real processes in data centres: Zurich, Bern and Lugano, each reached over two uplinks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from cluster import Cluster
from programs import Program

UPLINKS: Final = ("north", "south")
HERE: Final = "zurich"
"""Where the proxy is."""
LIFETIME: Final = timedelta(days=365)
"""Of the certificates."""
NOBODY_IS_SLOW: Final = "[ejection]\nslow_factor = 1000.0\n"
"""A busy machine makes nodes slow, and the page would say so."""


@dataclass(frozen=True)
class Place:
    """A data centre."""

    name: str
    risk_zone: str
    latitude: float
    longitude: float
    nodes: tuple[str, ...]


PLACES: Final = (
    Place("zurich", "limmat", 47.37, 8.54, ("node-1", "node-2")),
    Place("bern", "aare", 46.95, 7.44, ("node-3", "node-4")),
    Place("lugano", "ticino", 46.01, 8.96, ()),
)


class SitesCluster(Cluster):
    """Four nodes at two sites; the third site has none yet."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        # So long that the page has nothing to say of certificates.
        super().__init__(
            folder,
            "uvloop",
            sum(len(place.nodes) for place in PLACES),
            settings=NOBODY_IS_SLOW + settings,
            lifetime=LIFETIME,
        )

    def node(self, name: str) -> Program:
        """Return the node of that name."""
        return next(node for node in self.nodes if node.name == name)

    def write_topology(self, addresses: Mapping[str, Sequence[str]] | None = None) -> None:
        """Write cluster.toml; `addresses` are those of a node that is reached otherwise than on its own port."""
        super().write_topology(addresses)
        path = self.folder / "cluster.toml"
        head, _, rest = path.read_text().partition("[[sites]]")
        grants = rest[rest.index("[[partitions]]") :]
        path.write_text(head + "".join(_site(place) for place in PLACES) + self._nodes(addresses or {}) + grants)

    def _nodes(self, addresses: Mapping[str, Sequence[str]]) -> str:
        written = ""
        for place in PLACES:
            for name in place.nodes:
                port = self.node(name).port
                # Two names of one address: to the proxy they are two paths.
                paths = addresses.get(name, (f"127.0.0.1:{port}", f"localhost:{port}"))
                pairs = zip(UPLINKS, paths, strict=True)
                rows = ", ".join(f'{{ uplink = "{uplink}", address = "{address}" }}' for uplink, address in pairs)
                written += f'[[nodes]]\nname = "{name}"\nsite = "{place.name}"\npaths = [{rows}]\n'
        return written

    def _write_proxy(self, proxy: Program) -> None:
        super()._write_proxy(proxy)
        proxy.config.write_text(proxy.config.read_text().replace('site = "local"', f'site = "{HERE}"'))


def _site(place: Place) -> str:
    uplinks = ", ".join(f'"{uplink}"' for uplink in UPLINKS)
    return (
        f'[[sites]]\nname = "{place.name}"\nrisk_zone = "{place.risk_zone}"\n'
        f"latitude = {place.latitude}\nlongitude = {place.longitude}\nuplinks = [{uplinks}]\n"
    )
