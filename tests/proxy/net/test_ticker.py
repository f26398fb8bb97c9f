"""The one timer."""

import asyncio

from proxy.net.ticker import Ticker


async def test_it_beats_with_the_time_until_it_is_stopped():
    beats = []
    third = asyncio.Event()

    def step(now):
        beats.append(now)
        if len(beats) == 3:
            third.set()

    ticker = Ticker(asyncio.get_running_loop(), step)
    ticker.start()
    await asyncio.wait_for(third.wait(), 5)
    ticker.stop()
    ticker.stop()
    assert beats == sorted(beats)
