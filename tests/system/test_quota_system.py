"""Package economy's own quotas, live: two sites and one for recovery, two proxies, a store of three members.

Daemons are restarted and killed and the store's majority is lost while clients ask for all that they can have.

The day before is written into the state directory of the recovery node, as its own count: a day's 864,000 signatures
take too long. All daemons have a clock that is ahead, so that a period ends within the test.
"""

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from cluster import Cluster
from economy_cluster import AheadProgram, EconomyCluster
from etcd import EtcdCluster
from programs import wait_until
from quota_callers import Callers, most_within, opened
from scale import SLACK

from hsm_client import connect
from hsm_client.errors import OverQuota
from hsm_cluster.packages import GENERATION_BURST, PACKAGES
from hsm_cluster.usage import PERIOD_S, PERIODS, Row
from hsm_node.state.usage_file import UsageFile

pytestmark = pytest.mark.alone

LIMIT: Final = PACKAGES["economy"].quota.signatures_per_day or 0
LEFT: Final = 3_000
"""Signatures that the day before leaves."""
RETURNED: Final = 10_000
"""That are left again when the period ends: more than a quick machine signs beyond the quota in two seconds."""
PERIOD_ENDS_S: Final = 20.0 * SLACK
"""After the last start of the daemons."""
USED_UP_S: Final = 60.0 * SLACK
"""Until those are signed."""
STEADY_S: Final = 6.0
NO_QUORUM_S: Final = 2.5
RECOVERS: Final = "node-3"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EtcdCluster]:
    """A member a site."""
    made = EtcdCluster(tmp_path / "etcd", 3, tls=True)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def cluster(tmp_path: Path, store: EtcdCluster) -> Iterator[EconomyCluster]:
    """With the day before, a key `k`, and a period that has just begun."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    made = EconomyCluster(folder, "uvloop", proxies=2)
    for node in made.nodes:
        made.write_node(node, store=store.store_toml())
    AheadProgram.ahead_s = -time.time() % PERIOD_S + 1
    period = int(time.time() + AheadProgram.ahead_s) // PERIOD_S
    state = folder / "state" / RECOVERS
    state.mkdir(parents=True, mode=0o700)
    day = [Row(RECOVERS, 1, period - PERIODS, RETURNED, 0), Row(RECOVERS, 1, period - 100, LIMIT - RETURNED - LEFT, 0)]
    file = UsageFile(state)
    file.write(day, 0)
    file.close()
    try:
        made.start()
        made.run(lambda: make_key(made))
        yield made
    finally:
        made.stop()


async def make_key(cluster: Cluster) -> None:
    async with connect(cluster.client_config) as hsm:
        await hsm.generate_key("ec-p256", label="k")


@contextlib.contextmanager
def without_quorum(store: EtcdCluster) -> Iterator[None]:
    """Two of three members hang."""
    for member in store.members[:2]:
        member.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for member in store.members[:2]:
            member.signal(signal.SIGCONT)


async def wait_and_make(cluster: Cluster) -> list[float]:
    """Let a quiet client use the burst, then make three more, each after the time that it is told; return those."""
    waits = []
    async with contextlib.AsyncExitStack() as stack:
        clients = [(await opened(cluster, proxy, stack))[0] for proxy in cluster.proxies]
        await asyncio.sleep(2 * GENERATION_BURST + 2)
        for _ in range(GENERATION_BURST):
            await clients[0].generate_key("ec-p256", label="many")
        for _ in range(3):
            with pytest.raises(OverQuota) as raised:
                for _ in range(2 * GENERATION_BURST):  # On a slow machine a second passes meanwhile.
                    await clients[0].generate_key("ec-p256", label="many")
            waits.append(raised.value.retry_after_s)
            await asyncio.sleep(waits[-1])
            await clients[0].generate_key("ec-p256", label="many")
    return waits


def restart_all_before_a_period_ends(cluster: EconomyCluster) -> None:
    """Stop everything in order, put its clock forward, and start it."""
    for program in (*cluster.proxies, *cluster.nodes):
        assert program.terminate() == 0
    AheadProgram.ahead_s += rest_of_period() - PERIOD_ENDS_S
    cluster.start()


def rest_of_period() -> float:
    """Return in how many seconds the period ends by the daemons' clock."""
    return -(time.time() + AheadProgram.ahead_s) % PERIOD_S


def test_economy_s_quotas_hold_over_restarts_and_without_quorum_and_who_waits_as_told_is_served(
    cluster: EconomyCluster, store: EtcdCluster, count: Callable[[str, int], None]
) -> None:
    with Callers(cluster) as callers:
        lasted = disturb(cluster, store, callers)
    signed, peak = len(callers.signed), most_within(callers.signed, 1.0)
    print(
        f"{signed} signed ({callers.in_doubt} in doubt, at most {peak} a second), {len(callers.made)} keys in "
        f"{lasted:.1f} s; told to wait {callers.waits}"
    )
    count("signatures beyond the quota", max(0, signed - LEFT))
    count("signatures in the busiest second", peak)
    assert callers.wrong == []
    assert LEFT - callers.in_doubt <= signed <= LEFT + 2 * peak
    for length_s in (1, 5, 20, 60):
        assert most_within(callers.made, length_s) <= length_s + 2 * GENERATION_BURST + 2 * SLACK
    restart_all_before_a_period_ends(cluster)
    with Callers(cluster) as callers:
        callers.pace_s = 0.0
        wait_until(lambda: len(callers.waits) == 2, lambda: f"{callers.waits}")
        assert callers.signed == []
        rest_s, told_s = rest_of_period(), max(callers.waits.values())
        assert rest_s - 1 <= told_s <= rest_s + 2 * SLACK, "when the period ends"
        time.sleep(told_s)
        wait_until(lambda: bool(callers.signed), lambda: f"served after {told_s} s: {callers.waits}", 2.0 * SLACK)
        again = callers.signed
        wait_until(lambda: min(callers.waits.values()) > 3600, lambda: f"{len(again)} {callers.waits}", USED_UP_S)
    assert RETURNED - 2 * peak <= len(callers.signed) <= RETURNED + 2 * peak
    assert callers.wrong == []
    waits = cluster.run(lambda: wait_and_make(cluster))
    assert all(0 < wait_s <= 1 + SLACK for wait_s in waits), waits


def disturb(cluster: EconomyCluster, store: EtcdCluster, callers: Callers) -> float:
    """Restart every daemon, then take the store's majority away until all signatures are used up; return how long
    that took."""
    (one, two), (first, second, _) = cluster.proxies, cluster.nodes
    begun = time.monotonic()
    time.sleep(STEADY_S)
    assert 0.7 * STEADY_S / SLACK - 1 <= len(callers.made) <= 2 * GENERATION_BURST + STEADY_S + 1
    for terminated, killed in ((one, first), (second, two)):
        killed.kill()
        assert terminated.terminate() == 0
        for program in (killed, terminated):
            program.start()
        for program in (killed, terminated):
            program.wait_ready()
    cluster.wait_in_rotation()
    before = len(callers.made)
    time.sleep(STEADY_S)
    assert len(callers.made) - before >= 0.5 * STEADY_S / SLACK, "who was restarted lets keys be made"
    assert not callers.waits, "all was slow until here"
    with without_quorum(store):
        time.sleep(NO_QUORUM_S)
        made = len(callers.made)
        one.kill()
        one.start()
        one.wait_ready()
        callers.pace_s = 0.0
        wait_until(lambda: len(callers.waits) == 2, lambda: f"{len(callers.signed)}, {callers.waits}", 30.0 * SLACK)
        time.sleep(NO_QUORUM_S)
        assert len(callers.made) == made
    return time.monotonic() - begun
