"""Nodes and proxies are killed under load; the clients notice nothing."""

import asyncio
import time
from collections.abc import Callable

from cluster import Cluster
from programs import POLL_INTERVAL_S

from hsm_client import Hsm, connect

CLIENTS = 64
SHARE_DEADLINE_S = 15.0
LEAST_SHARE = 50
"""Requests that show that a returned node is used again; its slow start gives it little at first."""


class Load:
    """Clients that sign one after the other until told to stop, and keep what went wrong."""

    def __init__(self, cluster: Cluster, clients: int) -> None:
        self.cluster = cluster
        self.clients = clients
        self.done = 0
        self.failed: list[str] = []
        self._stop = asyncio.Event()

    async def run(self, meanwhile: Callable[["Load"], object]) -> None:
        """Run the clients while `meanwhile`, which may block, runs in a thread."""
        async with connect(self.cluster.client_config) as hsm:
            key_id = (await hsm.generate_key("ec-p256")).id
        ready = asyncio.Barrier(self.clients + 1)
        clients = [asyncio.ensure_future(self._client(key_id, ready)) for _ in range(self.clients)]
        await ready.wait()
        try:
            await asyncio.to_thread(meanwhile, self)
        finally:
            self._stop.set()
            await asyncio.gather(*clients)

    def wait_for(self, more: int) -> None:
        """Block until that many more requests were answered."""
        goal = self.done + more
        end = time.monotonic() + SHARE_DEADLINE_S
        while self.done < goal:
            assert time.monotonic() < end, f"only {self.done} answers; failed: {self.failed[:3]}"
            time.sleep(POLL_INTERVAL_S)

    async def _client(self, key_id: str, ready: asyncio.Barrier) -> None:
        async with connect(self.cluster.client_config, pool_size=1) as hsm:
            await ready.wait()
            while not self._stop.is_set():
                await self._sign(hsm, key_id)

    async def _sign(self, hsm: Hsm, key_id: str) -> None:
        try:
            await (await hsm.key(key_id)).sign(b"data", "ecdsa-sha256")
        except Exception as error:  # noqa: BLE001 - whatever a client sees is a failure of this test
            self.failed.append(repr(error))
        else:
            self.done += 1


def test_no_request_fails_when_one_node_of_three_is_killed_and_it_comes_back_by_itself(
    make_cluster: Callable[..., Cluster],
) -> None:
    cluster = make_cluster()
    victim = cluster.nodes[1]

    def meanwhile(load: Load) -> None:
        load.wait_for(1_000)
        victim.kill()
        load.wait_for(1_000)
        others = cluster.node_requests()
        load.wait_for(1_000)
        later = cluster.node_requests()
        assert later[victim.name] == others[victim.name]
        assert all(later[node.name] > others[node.name] for node in cluster.nodes if node is not victim)
        victim.start()
        victim.wait_ready()
        cluster.wait_in_rotation()
        end = time.monotonic() + SHARE_DEADLINE_S
        while cluster.node_requests()[victim.name] < later[victim.name] + LEAST_SHARE:
            assert time.monotonic() < end, "the node that came back gets no requests"
            load.wait_for(100)

    async def main() -> None:
        load = Load(cluster, CLIENTS)
        await load.run(meanwhile)
        assert load.failed == []

    cluster.run(main)


def test_no_request_fails_when_a_node_ends_in_order(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()

    def meanwhile(load: Load) -> None:
        load.wait_for(500)
        assert cluster.nodes[0].terminate() == 0
        load.wait_for(500)

    async def main() -> None:
        load = Load(cluster, 16)
        await load.run(meanwhile)
        assert load.failed == []

    cluster.run(main)


def test_clients_go_on_when_the_proxy_is_killed_and_started_again(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()

    def meanwhile(load: Load) -> None:
        load.wait_for(500)
        cluster.proxy.kill()
        time.sleep(0.3)  # Long enough for every client to find nobody there.
        cluster.proxy.start()
        cluster.proxy.wait_ready()
        load.wait_for(1_000)

    async def main() -> None:
        load = Load(cluster, 16)
        await load.run(meanwhile)
        assert load.failed == []

    cluster.run(main)


def test_keys_outlive_the_kill_of_every_node(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster(2)

    async def make() -> tuple[str, bytes]:
        async with connect(cluster.client_config) as hsm:
            key = await hsm.generate_key("ec-p256", label="survivor")
            return key.id, await key.sign(b"data", "ecdsa-sha256")

    key_id, signature = cluster.run(make)
    for node in cluster.nodes:
        node.kill()
    for node in cluster.nodes:
        node.start()
    for node in cluster.nodes:
        node.wait_ready()
    cluster.wait_in_rotation()

    async def check() -> None:
        async with connect(cluster.client_config) as hsm:
            key = await hsm.key("survivor")
            assert key.id == key_id
            await key.verify(data=b"data", signature=signature, mechanism="ecdsa-sha256")

    cluster.run(check)
