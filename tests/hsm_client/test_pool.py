"""Several connections to several proxies."""

import asyncio
from random import Random

from fake_cluster import FakeProxy

from hsm_client.pool import Pool


async def test_the_slots_spread_over_the_proxies_and_the_avoided_connection_is_the_last_choice(proxy, configured):
    other = await FakeProxy(proxy.keystore).start()
    pool = Pool(configured(proxy, other), 2, Random(1))
    pool.start()
    deadline = asyncio.get_running_loop().time() + 5
    try:
        first = await pool.acquire(deadline)
        while len(pool.file_numbers()) < 2:
            await asyncio.sleep(0.001)
        second = await pool.acquire(deadline, avoid=first)
        assert {first.address.port, second.address.port} == {proxy.port, other.port}
    finally:
        await pool.close()
        await other.stop()
