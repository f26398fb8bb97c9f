"""Clients that use up a partition's quota, through a proxy of their choice."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import Cluster
from programs import Program

from hsm_client import connect
from hsm_client.errors import HsmError, OverQuota

CALLERS = 8
LIMIT_PER_MINUTE = 1
DAY_LIMIT = LIMIT_PER_MINUTE * 24 * 60


def with_quotas(cluster: Cluster, quotas: str) -> Cluster:
    """Give the partition of `app` quotas, before anything is started."""
    path = cluster.folder / "cluster.toml"
    path.write_text(path.read_text().replace('id = 1\nname = "first"\n', f'id = 1\nname = "first"\n{quotas}\n'))
    return cluster


async def sign(config: Path, proxy: Program, key: str, most: int) -> tuple[int, float]:
    """Sign through one proxy until there is nothing left, or `most` are made; return how many, and how long to wait."""
    left, made, wait_s = most, 0, 0.0

    async def caller() -> None:
        nonlocal left, made, wait_s
        while left > 0:
            left -= 1
            try:
                await hsm_key.sign(b"data", "ecdsa-sha256")
                made += 1
            except OverQuota as error:
                left, wait_s = 0, error.retry_after_s
            except HsmError as error:  # a node was killed under it: it may have been done, and is counted then
                if error.status_name not in ("UNAVAILABLE", "TIMEOUT"):
                    raise

    async with connect(config, proxies=f"127.0.0.1:{proxy.port}", retry=False) as hsm:
        [hsm_key] = await hsm.find_keys(label=key)
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return made, wait_s


async def generate(config: Path, proxies: Sequence[Program], seconds: float, label: str = "many") -> int:
    """Generate keys as fast as it goes through all these proxies; return how many were made."""
    end = time.monotonic() + seconds

    async def through(proxy: Program) -> int:
        made = 0
        async with connect(config, proxies=f"127.0.0.1:{proxy.port}", retry=False) as hsm:
            while time.monotonic() < end:
                try:
                    await hsm.generate_key("ec-p256", label=label)
                    made += 1
                except OverQuota:
                    await asyncio.sleep(0.02)
        return made

    return sum(await asyncio.gather(*map(through, proxies)))
