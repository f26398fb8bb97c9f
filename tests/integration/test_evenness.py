"""One random node per request, not per connection."""

import asyncio
import math

import pytest
from cluster import Cluster

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system

REQUESTS = 3_000
LEAST_P = 0.001


def p_of_evenness(counts: list[int]) -> float:
    """Return the probability of counts at least this uneven among three equal nodes.

    Chi-square with two degrees of freedom, whose tail is exp(-x / 2).
    """
    assert len(counts) == 3
    expected = sum(counts) / 3
    return math.exp(-sum((count - expected) ** 2 for count in counts) / expected / 2)


def served(cluster: Cluster, clients: int, in_flight: int) -> list[int]:
    """Sign `REQUESTS` times and return how many each node answered."""

    async def main() -> list[int]:
        async with connect(cluster.client_config, pool_size=1) as hsm:
            label = (await hsm.generate_key("ed25519")).id

        async def client() -> None:
            async with connect(cluster.client_config, pool_size=1, timeout_s=20) as hsm:
                key = await hsm.key(label)

                async def worker() -> None:
                    for _ in range(REQUESTS // clients // in_flight):
                        await key.sign(b"data", "eddsa")

                await asyncio.gather(*(worker() for _ in range(in_flight)))

        before = cluster.node_requests()
        await asyncio.gather(*(client() for _ in range(clients)))
        after = cluster.node_requests()
        return [after[name] - before[name] for name in sorted(after)]

    return cluster.run(main)


@pytest.mark.parametrize(("clients", "in_flight"), [(1, 8), (64, 1)])
def test_every_node_gets_the_same_share(shared: Cluster, clients: int, in_flight: int) -> None:
    counts = served(shared, clients, in_flight)
    assert sum(counts) >= REQUESTS * 0.9
    if p_of_evenness(counts) <= LEAST_P:
        # Real chance does this once in a thousand runs, twice in a row once in a million.
        counts = served(shared, clients, in_flight)
    assert p_of_evenness(counts) > LEAST_P, counts
