"""A cluster with a DR site, for tests of nodes that know only themselves."""

from pathlib import Path

from hsm_cluster.cluster import Cluster, load_cluster

SITE = """
[[sites]]
name = "{name}"
role = "{role}"
risk_zone = "{name}"
latitude = {latitude}
longitude = 8.5
uplinks = ["isp-a", "isp-b"]

[[nodes]]
name = "{node}"
site = "{name}"
paths = [{{ uplink = "isp-a", address = "127.0.0.1:{port}" }}]
"""


def cluster_of(folder: Path, sites: dict[str, tuple[str, str, int]]) -> Cluster:
    """Return the cluster dev with these sites: each its role, its node and that one's port."""
    file = folder / "recovering.toml"
    rows = enumerate(sites.items(), 40)
    file.write_text(
        '[cluster]\nname = "dev"\npackage = "dedicated"\n'
        + "".join(
            SITE.format(name=name, role=role, node=node, port=port, latitude=latitude)
            for latitude, (name, (role, node, port)) in rows
        )
    )
    return load_cluster(file)
