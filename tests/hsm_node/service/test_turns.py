import asyncio
import math

import pytest

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.service.turns import Turns
from hsm_wire.statuses import Status

ONE, OTHER = (1, b"k" * 16), (1, b"o" * 16)


async def test_who_asks_first_comes_first_and_other_keys_wait_for_nobody() -> None:
    turns, seen = Turns(), list[str]()
    go = asyncio.Event()

    async def write(name: str, place: tuple[int, bytes]) -> None:
        async with turns.turn(place, math.inf):
            seen.append(name)
            if place == ONE:
                await go.wait()
                seen.append(f"{name} done")

    tasks = [asyncio.ensure_future(write(name, ONE)) for name in "abc"]
    await asyncio.sleep(0)
    await write("other", OTHER)
    assert seen == ["a", "other"]
    go.set()
    await asyncio.gather(*tasks)
    assert seen == ["a", "other", "a done", "b", "b done", "c", "c done"]
    assert len(turns) == 0


async def test_who_fails_or_is_cancelled_keeps_nobody_waiting() -> None:
    turns = Turns()
    with pytest.raises(ValueError, match="fails"):
        async with turns.turn(ONE, math.inf):
            waits = asyncio.ensure_future(turns.turn(ONE, math.inf).__aenter__())
            await asyncio.sleep(0)
            waits.cancel()
            raise ValueError("fails")
    with pytest.raises(asyncio.CancelledError):
        await waits
    async with asyncio.timeout(5), turns.turn(ONE, math.inf):
        assert len(turns) == 1
    assert len(turns) == 0


async def test_who_waits_longer_than_he_may_is_told_so_and_takes_nobodys_turn() -> None:
    turns = Turns()
    async with turns.turn(ONE, math.inf):
        for deadline in (clock.monotonic(), clock.monotonic() + 0.01):
            with pytest.raises(Refusal, match="time ran out") as refused:
                async with turns.turn(ONE, deadline):
                    pytest.fail("it is another one's turn")
            assert (refused.value.status, refused.value.not_executed) == (Status.TIMEOUT, True)
    assert len(turns) == 0
