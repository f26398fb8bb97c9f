"""A whole site is lost under load, then the store's majority: crypto goes on, and changes are back by themselves.

Each site is a network of its own; it is lost by killing all that runs there, or by dropping every packet.
"""

import asyncio
import contextlib
import math
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import NamedTuple

import pytest
from bench_process import CLIENTS, BenchProcess
from programs import wait_until
from scale import SLACK, bound_ms, seconds
from site_networks import namespaces_lack
from store_cluster import DR, StoreCluster

from hsm_client import Hsm, Key, connect
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
"""From sending a change to its answer, from the moment of the loss on."""
HANG_S = 0.1 * SLACK
"""For which the members stand still before they are killed: what was done before is answered by then, and whoever asks
for changes has one on its way that the store has not done."""
CONFIRMED_S = 4.0 * SLACK
"""For a change that was made before: nodes that do not confirm it are named after 3 s."""
PAUSE_S = 0.5
"""Between two changes without a majority."""
NOTICED_S = 2.0
"""A leader that was left alone takes what it is given until it notices, and does it when the others are back: the
answer leaves that open. After this time what is refused is not done."""
BACK_S = 10.0
ASKERS = 2
"""Who ask for changes: one makes keys, one renames one."""


class Asked(NamedTuple):
    """One change: when it was sent, when it was answered, and how."""

    sent: float
    answered: float
    status: str


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


class Asking:
    """Somebody who asks for changes, one after the other, and notes what came of each."""

    def __init__(self, hsm: Hsm, kept: Key, other: Key) -> None:
        """`kept`: a key that is only asked to change while nobody can change it; `other`: one that may change."""
        self.done: list[Asked] = []
        self.lost_at = math.inf
        """When the majority was lost."""
        self._hsm = hsm
        self._kept = kept
        self._other = other
        self._stop = False

    async def run(self) -> None:
        """Ask until told to stop, each of ASKERS for one change after the other: without a pause before the loss."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._repeat(self._make))
            group.create_task(self._repeat(self._rename))

    def stop(self) -> None:
        """End after what is in flight."""
        self._stop = True

    async def _repeat(self, change: Callable[[bool], Awaitable[object]]) -> None:
        while not self._stop:
            sent, status = time.monotonic(), "OK"
            try:
                await change(sent >= self.lost_at + NOTICED_S)
            except HsmError as error:
                status = error.status_name
            self.done.append(Asked(sent, time.monotonic(), status))
            if sent >= self.lost_at:
                await asyncio.sleep(PAUSE_S)

    async def _make(self, noticed: bool) -> None:
        await self._hsm.generate_key("ec-p256", label="refused" if noticed else "made")

    async def _rename(self, noticed: bool) -> None:
        await (self._kept if noticed else self._other).update(label=f"label-{len(self.done)}")


def test_without_a_majority_of_the_store_signatures_go_on_and_changes_are_refused_in_time(
    cluster: StoreCluster, count: Callable[..., None]
) -> None:
    whole(cluster)
    lasting_s = seconds(NO_QUORUM_S, 5.0)
    lost = [cluster.members[site] for site in ("zurich", DR)]

    async def through_it() -> tuple[float, Asking]:
        async with connect(cluster.client_config) as patient, connect(cluster.client_config, retry=False) as hsm:
            key, other = [await patient.generate_key("ec-p256", label=label) for label in ("kept", "other")]
            asking = Asking(hsm, await hsm.key(key.id), await hsm.key(other.id))
            task = asyncio.create_task(asking.run())
            await asyncio.sleep(WARM_S)
            try:
                for member in lost:
                    member.signal(signal.SIGSTOP)
                await asyncio.sleep(HANG_S)
                for member in lost:
                    member.kill()
                asking.lost_at = time.monotonic()
                await asyncio.sleep(lasting_s)
                asking.stop()
                await task
            finally:
                for member in lost:
                    member.start()
            back_s = await first_key_s(hsm)
            assert (await key.describe()).label == "kept"
            assert await patient.find_keys(label="refused") == []
            return back_s, asking

    with BenchProcess(cluster.client_config, KEY, 2 * WARM_S + lasting_s + BACK_S, rate=RATE) as bench:
        warm(cluster)
        back_s, asking = cluster.run(through_it)
        whole(cluster)
    bench.assert_survived(SLOWEST_MS, f"no quorum for {lasting_s:g} s")
    before = [asked for asked in asking.done if asked.answered < asking.lost_at]
    flying = [asked for asked in asking.done if asked.sent < asking.lost_at <= asked.answered]
    after = [asked for asked in asking.done if asked.sent >= asking.lost_at]
    refused = [asked for asked in [*flying, *after] if asked.status == "STORE_UNAVAILABLE"]
    slowest_s = max(asked.answered - asked.sent for asked in refused)
    count("changes refused without a quorum", len(after))
    count("milliseconds until a change was refused, at most", round(1000 * slowest_s))
    count("milliseconds until a key was made after the quorum was back", round(1000 * back_s))
    for asked in [*flying, *after[:8]]:
        sent_s, taken_s = asked.sent - asking.lost_at, asked.answered - asked.sent
        print(f"sent {sent_s:+.3f} s after the loss, answered in {taken_s:.3f} s: {asked.status}")
    assert before
    assert len(flying) == ASKERS, "each had asked for a change that was not done when the members were killed"
    assert {asked.status for asked in flying} <= {"OK", "OK_UNCONFIRMED", "STORE_UNAVAILABLE"}
    assert {asked.status for asked in after} == {"STORE_UNAVAILABLE"}
    assert slowest_s <= bound_ms(1000 * REFUSED_S) / 1000
    # Made just before, and then nobody could confirm it.
    assert all(asked.answered - asked.sent <= CONFIRMED_S for asked in flying if asked not in refused)
    wait_until(lambda: cluster.leading_site() != "", lambda: "a leader")
