"""A store that makes a change wait is no fault of a node: nobody is taken out of the rotation for it."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable

import pytest
from cluster import Cluster

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system

IDLE_S = 2.0
HELD_S = 2.5
"""Below the node's own patience with a busy store, 5 s, and above everything that the proxy calls slow."""


def test_a_change_that_waits_for_the_store_takes_no_node_out(make_cluster: Callable[..., Cluster]) -> None:
    cluster = make_cluster()

    async def main() -> None:
        async with connect(cluster.client_config, timeout_s=20.0) as hsm:
            key = await hsm.generate_key("ec-p256", label="first")
            await asyncio.sleep(IDLE_S)
            before = cluster.proxy.log().count('event="node changed"')
            with contextlib.closing(sqlite3.connect(cluster.store, isolation_level=None)) as store:
                store.execute("BEGIN IMMEDIATE")
                change = asyncio.ensure_future(key.update(label="second"))
                await asyncio.sleep(HELD_S)
                assert not change.done(), "the lock held nobody up: nothing was tried"
                store.execute("ROLLBACK")
            await change
            assert (await hsm.key("second")).id == key.id
            changes = cluster.proxy.log()
            assert changes.count('event="node changed"') == before, changes[-2000:]

    cluster.run(main)
