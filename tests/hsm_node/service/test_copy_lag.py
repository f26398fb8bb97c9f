"""How far the copy is behind: looked at now and then, and known to be unknown where nobody answers."""

import asyncio
from collections.abc import Callable
from typing import Any

from dr_node import OddCopy, dr_node

from hsm_node.service.copy_lag import CopyLag, Lag

Start = Callable[..., Any]


async def made(start_node: Start, **odd: Any) -> tuple[Any, CopyLag]:
    node = await dr_node(start_node, "hmac-256")
    copy = OddCopy(node.store.copy, **odd)
    return copy, CopyLag(copy, node.keystore.prober)


async def test_nothing_is_known_before_the_first_look(start_node: Start) -> None:
    _, lag = await made(start_node)
    assert (lag.last.records, lag.seconds) == (None, None)


async def test_a_whole_copy_is_not_behind_and_one_that_lacks_something_is_for_as_long(start_node: Start) -> None:
    copy, lag = await made(start_node)
    assert (await lag.look()).records == 0
    assert lag.seconds == 0.0
    copy.lacks = 2
    assert (await lag.look()).records == 2
    first = lag.seconds
    assert first
    copy.alone = True
    assert (await lag.look()).reason == "the rest of the store does not answer (no leader)"
    assert lag.last.records is None
    assert lag.seconds
    assert lag.seconds >= first


async def test_a_copy_that_does_not_answer_is_told_apart_from_the_rest(start_node: Start) -> None:
    _, lag = await made(start_node, out="revision")
    assert (await lag.look()).reason == "this site's copy is out (it is stopped)"


async def test_it_looks_by_itself_and_not_all_the_time(start_node: Start) -> None:
    _, lag = await made(start_node)
    lag.sweep()
    async with asyncio.timeout(10):
        while lag.last.records is None:
            await asyncio.sleep(0.01)
    lag.last = Lag(7)
    lag.sweep()
    await asyncio.sleep(0.05)
    assert lag.last.records == 7


async def test_a_node_that_stops_says_why_nothing_is_known(start_node: Start) -> None:
    _, lag = await made(start_node)
    lag._pool.close()
    lag.sweep()
    async with asyncio.timeout(10):
        while "shutting down" not in lag.last.reason:
            await asyncio.sleep(0.01)
