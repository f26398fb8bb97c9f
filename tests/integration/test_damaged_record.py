"""A key whose record is damaged harms who uses it, and nobody else: no node is taken out for it."""

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable

import pytest
from cluster import Cluster

from hsm_client import connect
from hsm_client.errors import HsmError, RecordDamaged

pytestmark = pytest.mark.other_loop_in_system

RUN_S = 6.0
PAUSE_S = 0.05
OTHERS = 5
AT_ONCE_S = 2.0
"""For a client that sends again what may succeed later: until then it would not have given up."""


def damage_newest(cluster: Cluster) -> None:
    """Flip a bit in the record that was written last. Nodes that are down have seen it, and do not hold it."""
    with contextlib.closing(sqlite3.connect(cluster.store)) as store, store:
        name, data = store.execute("SELECT name, data FROM records ORDER BY revision DESC LIMIT 1").fetchone()
        store.execute("UPDATE records SET data = ? WHERE name = ?", (data[:-1] + bytes([data[-1] ^ 1]), name))


def test_a_client_with_a_damaged_key_takes_no_node_out(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()

    async def make() -> tuple[str, str]:
        async with connect(cluster.client_config) as hsm:
            good = await hsm.generate_key("ec-p256", label="good")
            return good.id, (await hsm.generate_key("ec-p256", label="damaged")).id

    good, damaged = cluster.run(make)
    cluster.proxy.terminate()
    for node in cluster.nodes:
        assert node.status()["keys"] == 2, "it looks into the store when it is asked, so it has seen both"
        node.terminate()
    damage_newest(cluster)
    cluster.start()
    before = cluster.proxy.log().count('event="node changed"')
    refused: Counter[str] = Counter()
    served: Counter[str] = Counter()

    async def sign(key_id: str, stop: float, seen: Counter[str]) -> None:
        async with connect(cluster.client_config, timeout_s=5.0, retry=False, pool_size=1) as hsm:
            key = await hsm.key(good)
            while time.monotonic() < stop:
                try:
                    await (key if key_id == good else await hsm.key(key_id)).sign(b"data", "ecdsa-sha256")
                    seen["OK"] += 1
                except HsmError as error:
                    seen[error.status_name] += 1
                await asyncio.sleep(PAUSE_S)

    async def main() -> None:
        stop = time.monotonic() + RUN_S
        await asyncio.gather(*(sign(good, stop, served) for _ in range(OTHERS)), sign(damaged, stop, refused))

    cluster.run(main)
    assert refused["OK"] == 0, "the record was not damaged: nothing was tried"
    assert refused.total() > 10, refused
    assert set(refused) == {"RECORD_DAMAGED"}, refused
    assert set(served) == {"OK"}, served

    async def patient() -> float:
        async with connect(cluster.client_config) as hsm:
            begun = time.monotonic()
            with pytest.raises(RecordDamaged, match="tell the operator"):
                await hsm.key(damaged)
            return time.monotonic() - begun

    assert cluster.run(patient) < AT_ONCE_S, "it was sent again, in vain"
    log = cluster.proxy.log()
    assert log.count('event="node changed"') == before, log[-2000:]
