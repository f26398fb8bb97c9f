"""Every mechanism with every type of key and kind of parameters, there and back."""

from collections.abc import Callable

import pytest
from cluster import Cluster
from round_trips import RoundTrips
from varieties import varieties

from hsm_client import connect

pytestmark = pytest.mark.other_loop_in_system

EVERY = {"uvloop": 1, "asyncio": 4}
"""On asyncio, every fourth variety of mechanism, type of key and parameters makes its round trip."""


def test_what_a_key_made_comes_back(shared: Cluster, count: Callable[[str, int], None]) -> None:
    async def main() -> int:
        async with connect(shared.client_config, timeout_s=60) as hsm:
            trips = RoundTrips(hsm)
            await trips.all(list(varieties(await hsm.info()))[:: EVERY[shared.event_loop]])
            return trips.done

    count("round trips through client, proxy and nodes", shared.run(main))
