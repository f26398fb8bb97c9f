"""Clients that sign and generate keys as fast as their partition may, through both proxies, whatever happens there."""

import asyncio
import contextlib
import threading
import time
from typing import Final

from cluster import Cluster
from programs import Program
from scale import SLACK

from hsm_client import Hsm, Key, connect
from hsm_client.errors import HsmError, OverQuota
from hsm_cluster.packages import GENERATION_BURST

PACE_S: Final = 0.15 * SLACK
"""Between two signatures of a caller while daemons are restarted."""
CALLERS: Final = 4
"""Of each kind at each proxy."""


class Callers:
    """Clients of both proxies that sign and generate keys as fast as they may, in a thread."""

    def __init__(self, cluster: Cluster) -> None:
        self.pace_s = PACE_S
        self.signed: list[float] = []
        """When, each."""
        self.made: list[float] = []
        """When each key was asked for: threads that make keys wait for the processor, on a busy machine for seconds."""
        self.in_doubt = 0
        """Signatures that may have been made, and whose answer was lost."""
        self.waits: dict[str, float] = {}
        """Proxy -> how long it said last that there are no signatures."""
        self.wrong: list[str] = []
        self._cluster = cluster
        self._stop = False
        self._thread = threading.Thread(target=lambda: cluster.run(self._main), name="callers")

    def __enter__(self) -> "Callers":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()

    async def _main(self) -> None:
        async with contextlib.AsyncExitStack() as stack:
            tasks = []
            for proxy in self._cluster.proxies:
                hsm, [key] = await opened(self._cluster, proxy, stack)
                for _ in range(CALLERS):
                    tasks += [self._sign(proxy.name, key), self._generate(hsm)]
            await asyncio.gather(*tasks)

    async def _sign(self, proxy: str, key: Key) -> None:
        while not self._stop:
            try:
                await key.sign(b"data", "ecdsa-sha256")
                self.signed.append(time.monotonic())
                await asyncio.sleep(self.pace_s)
            except OverQuota as error:
                self.waits[proxy] = error.retry_after_s
                await asyncio.sleep(0.2)
            except HsmError as error:
                self.in_doubt += error.status_name in ("UNAVAILABLE", "TIMEOUT")
                self._look_at(error)
                await asyncio.sleep(0.1)

    async def _generate(self, hsm: Hsm) -> None:
        while not self._stop:
            begun = time.monotonic()
            try:
                await hsm.generate_key("ec-p256", label="many")
                self.made.append(begun)
            except OverQuota as error:
                if not 0 < error.retry_after_s <= 4 * GENERATION_BURST:
                    self.wrong.append(f"told to wait {error.retry_after_s} s for a key")
                await asyncio.sleep(0.1)
            except HsmError as error:
                self._look_at(error)
                await asyncio.sleep(0.1)

    def _look_at(self, error: HsmError) -> None:
        if error.status_name not in ("UNAVAILABLE", "TIMEOUT", "STORE_UNAVAILABLE", "GOING_AWAY", "NOT_CURRENT"):
            self.wrong.append(str(error))


async def opened(cluster: Cluster, proxy: Program, stack: contextlib.AsyncExitStack) -> tuple[Hsm, list[Key]]:
    """Return a client of one proxy, and the key."""
    address = cluster.address_of(proxy)
    hsm = await stack.enter_async_context(connect(cluster.client_config, proxies=address, retry=False))
    return hsm, await hsm.find_keys(label="k")


def most_within(times: list[float], length_s: float) -> int:
    """Return the most that was done in any time of that length."""
    begin = most = 0
    times = sorted(times)
    for end, at in enumerate(times):
        while times[begin] < at - length_s:
            begin += 1
        most = max(most, end - begin + 1)
    return most
