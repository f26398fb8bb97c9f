import asyncio

import pytest

from hsm_node.service.turns import Turns

ONE, OTHER = (1, b"k" * 16), (1, b"o" * 16)


async def test_who_asks_first_comes_first_and_other_keys_wait_for_nobody() -> None:
    turns, seen = Turns(), list[str]()
    go = asyncio.Event()

    async def write(name: str, place: tuple[int, bytes]) -> None:
        async with turns.turn(place):
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
        async with turns.turn(ONE):
            waits = asyncio.ensure_future(turns.turn(ONE).__aenter__())
            await asyncio.sleep(0)
            waits.cancel()
            raise ValueError("fails")
    with pytest.raises(asyncio.CancelledError):
        await waits
    async with asyncio.timeout(5), turns.turn(ONE):
        assert len(turns) == 1
    assert len(turns) == 0
