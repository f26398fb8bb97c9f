"""A whole site is lost under load, then the store's majority: crypto goes on, and changes are back by themselves.

Each site is a network of its own; it is lost by killing all that runs there, or by dropping every packet.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

import pytest
from bench_process import CLIENTS, BenchProcess
from programs import wait_until
from scale import SLACK, bound_ms, seconds
from site_networks import namespaces_lack
from store_cluster import DR, StoreCluster

from hsm_client import Hsm, connect
from hsm_client.errors import HsmError

pytestmark = pytest.mark.alone

KEY = "load"
RATE = 300.0 / SLACK
"""Signatures a second: two cores are not to be what is measured."""
WARM_S = 2.0
LOST_S = 5.0
SLOWEST_MS = 1_500.0
"""As for any node that is lost (docs/failure-modes.md)."""
KEYS_AGAIN_S = 5.0
NO_QUORUM_S = 60.0
"""What is asserted has come to rest after a few seconds; a minute would take half of the time of all these tests."""
REFUSED_S = 1.0
BACK_S = 10.0

Loss = Callable[[StoreCluster, str], contextlib.AbstractContextManager[None]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreCluster]:
    """Three sites that serve, with a key for the load."""
    if lack := namespaces_lack():
        pytest.skip(lack)
    made = StoreCluster(tmp_path_factory.mktemp("sites"))
    try:
        made.start()
        made.run(lambda: make_key(made))
        yield made
    finally:
        made.stop()


async def make_key(cluster: StoreCluster) -> None:
    """Make the key of the load."""
    async with connect(cluster.client_config) as hsm:
        await hsm.generate_key("ec-p256", label=KEY)


def whole(cluster: StoreCluster) -> None:
    """Wait until everything serves again."""
    cluster.wait_current()
    cluster.wait_in_rotation()


def warm(cluster: StoreCluster) -> None:
    """Wait until the load has all its connections, and for a while."""
    wait_until(lambda: connections(cluster) >= CLIENTS, lambda: f"{CLIENTS} clients, not {connections(cluster)}")
    time.sleep(WARM_S)


def connections(cluster: StoreCluster) -> int:
    """Return how many clients the proxies have together."""
    return sum(proxy.status()["clients"] for proxy in cluster.proxies)


async def first_key_s(hsm: Hsm) -> float:
    """Return the seconds until a key is made, by whoever asks again and again."""
    begun = time.monotonic()
    while True:
        with contextlib.suppress(HsmError):
            await hsm.generate_key("ec-p256")
            return time.monotonic() - begun


@contextlib.contextmanager
def killed(cluster: StoreCluster, site: str) -> Iterator[None]:
    """Kill all processes of a site, and start them again at the end."""
    cluster.kill_site(site)
    try:
        yield
    finally:
        cluster.start_site(site)


@contextlib.contextmanager
def dropped(cluster: StoreCluster, site: str) -> Iterator[None]:
    """Drop all packets of a site until the end."""
    cluster.networks.drop(site)
    try:
        yield
    finally:
        cluster.networks.restore(site)


@pytest.mark.parametrize("lose", [killed, dropped])
@pytest.mark.parametrize("leads", [True, False], ids=["with the store's leader", "without it"])
def test_one_of_two_active_sites_is_lost_and_no_request_fails(
    cluster: StoreCluster, lose: Loss, leads: bool, count: Callable[..., None]
) -> None:
    whole(cluster)
    site, other = ("zurich", "geneva") if leads else ("geneva", "zurich")
    cluster.lead("zurich")

    async def made_again_s() -> float:
        async with connect(cluster.client_config, timeout_s=1.0, retry=False) as hsm:
            with lose(cluster, site):
                taken_s = await first_key_s(hsm)
                await asyncio.sleep(LOST_S)
                # The clients of the lost site's proxy have moved to the other one.
                [proxy] = [proxy for proxy in cluster.proxies if cluster.site_of(proxy) == other]
                assert bench.running
                assert proxy.status()["clients"] >= CLIENTS
            return taken_s

    with BenchProcess(cluster.client_config, KEY, WARM_S + LOST_S + BACK_S, rate=RATE) as bench:
        warm(cluster)
        taken_s = cluster.run(made_again_s)
    bench.assert_survived(SLOWEST_MS, f"{site} lost ({lose.__name__})")
    count(f"milliseconds until a key was made without {site} ({lose.__name__})", round(1000 * taken_s))
    assert taken_s <= KEYS_AGAIN_S * SLACK


def test_without_a_majority_of_the_store_signatures_go_on_and_changes_are_refused_in_time(
    cluster: StoreCluster, count: Callable[..., None]
) -> None:
    whole(cluster)
    lasting_s = seconds(NO_QUORUM_S, 5.0)
    refusals: list[tuple[float, str]] = []
    lost = [cluster.members[site] for site in ("zurich", DR)]

    async def ask(hsm: Hsm, key_id: str) -> None:
        key = await hsm.key(key_id)
        end = time.monotonic() + lasting_s
        asked = 0
        while time.monotonic() < end:
            asked += 1
            for change in (hsm.generate_key("ec-p256", label="refused"), key.update(label=f"refused-{asked}")):
                begun = time.monotonic()
                with pytest.raises(HsmError) as caught:
                    await change
                refusals.append((time.monotonic() - begun, caught.value.status_name))
            await asyncio.sleep(0.5)

    async def through_it() -> float:
        async with connect(cluster.client_config) as patient, connect(cluster.client_config, retry=False) as hsm:
            key = await patient.generate_key("ec-p256", label="kept")
            for member in lost:
                member.kill()
            try:
                await asyncio.sleep(REFUSED_S)
                await ask(hsm, key.id)
            finally:
                for member in lost:
                    member.start()
            back_s = await first_key_s(hsm)
            assert (await key.describe()).label == "kept"
            assert await patient.find_keys(label="refused") == []
            return back_s

    with BenchProcess(cluster.client_config, KEY, WARM_S + lasting_s + BACK_S, rate=RATE) as bench:
        warm(cluster)
        back_s = cluster.run(through_it)
        whole(cluster)
    bench.assert_survived(SLOWEST_MS, f"no quorum for {lasting_s:g} s")
    assert {status for _, status in refusals} == {"STORE_UNAVAILABLE"}
    slowest_s = max(taken for taken, _ in refusals)
    count("changes refused without a quorum", len(refusals))
    count("milliseconds until a change was refused, at most", round(1000 * slowest_s))
    count("milliseconds until a key was made after the quorum was back", round(1000 * back_s))
    assert slowest_s <= bound_ms(1000 * REFUSED_S) / 1000
    wait_until(lambda: cluster.leading_site() != "", lambda: "a leader")
