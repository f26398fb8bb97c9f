"""What the service package promises and the cluster does not have now. What can be told from cluster.toml alone is a
rule there, and a cluster that breaks it does not start."""

from collections.abc import Iterator, Sequence

from hsm_cluster.packages import Package
from hsm_cluster.rules import MIN_ACTIVE_SITES
from hsm_cluster.topology import Site
from proxy.core.nodes.node_table import STANDBY, NodeTable


def shortfalls(package: Package, sites: Sequence[Site], table: NodeTable) -> list[str]:
    """Return what is missing, a sentence each; empty while the package is met."""
    return [*_nodes(package, table), *(_sites(package, sites, table) if package.redundant_sites else ())]


def _nodes(package: Package, table: NodeTable) -> Iterator[str]:
    serving = len(table.rotation)
    if serving < package.min_active_nodes:
        verb = "serves" if serving == 1 else "serve"
        yield f"{serving} of at least {package.min_active_nodes} active nodes {verb}"


def _sites(package: Package, sites: Sequence[Site], table: NodeTable) -> Iterator[str]:
    serving = len({node.site for node in table.rotation})
    if serving < MIN_ACTIVE_SITES:
        yield f"nodes of {serving} of at least {MIN_ACTIVE_SITES} active sites serve"
    for site in sites:
        paths = [path for node in table.nodes if node.site == site.name for path in node.paths]
        for uplink in site.uplinks:
            ups = [path.up for path in paths if path.uplink == uplink]
            if ups and not any(ups):
                yield f"uplink {uplink} of site {site.name} is down"
    recovery = {site.name for site in sites if site.role == "disaster-recovery"}
    if package.dr_required and not any(n.site in recovery and n.operational == STANDBY for n in table.nodes):
        yield "no node of a disaster-recovery site stands by"
