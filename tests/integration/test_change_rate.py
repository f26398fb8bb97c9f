"""A partition that changes too much is held up at each node, and nothing else is: real processes."""

import re
from pathlib import Path

from cluster import Cluster
from programs import get

from hsm_client import connect
from hsm_client.errors import OverQuota

BURST = 10
NODES = 2
CHANGES = 80
SLOW = f"{{ partition_changes_per_s = 0.5, partition_changes_burst = {BURST} }}"
"""So that those who wait as they are told come through in a few seconds."""
REFUSED = r'hsm_node_partition_changes_refused_total\{partition="\w+"\} (\S+)'


async def change_again_and_again(config: Path) -> tuple[int, list[float]]:
    """Change a key and use it, without waiting; return how many changes were made, and what the others were told."""
    made, told = 0, []
    async with connect(config, retry=False) as hsm:
        key = await hsm.generate_key("ec-p256", label="k")
        for number in range(CHANGES):
            try:
                await key.update(label=f"k{number}")
                made += 1
            except OverQuota as error:
                told.append(error.retry_after_s)
            await key.sign(b"goes on", "ecdsa-sha256")
        await key.disable()
    async with connect(config) as patient:
        again = await patient.key(key.id)
        await again.enable()
        await again.sign(b"and after it", "ecdsa-sha256")
    return made, told


def test_who_changes_too_much_is_told_to_wait_signs_on_disables_at_once_and_costs_no_node_its_place(
    tmp_path: Path,
) -> None:
    cluster = Cluster(tmp_path, "uvloop", NODES)
    for node in cluster.nodes:
        cluster.write_node(node, limits=SLOW)
    try:
        cluster.start()
        made, told = cluster.run(lambda: change_again_and_again(cluster.client_config))
        assert made + len(told) == CHANGES
        assert NODES * BURST - 1 <= made < CHANGES / 2
        assert all(0 < wait_s <= 2.1 for wait_s in told)
        pages = [get(node.admin_port, "/metrics")[1].decode() for node in cluster.nodes]
        refused = [number for page in pages for number in re.findall(REFUSED, page)]
        assert sum(map(float, refused)) >= len(told)
        [proxy] = cluster.proxies
        assert [node["state"] for node in proxy.status()["nodes"]] == ["up"] * NODES
        assert "hsm_proxy_node_ejections_total{" not in get(proxy.admin_port, "/metrics")[1].decode()
    finally:
        cluster.stop()
