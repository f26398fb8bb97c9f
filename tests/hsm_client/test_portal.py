"""The blocking client's loop."""

import asyncio

import pytest

from hsm_client.portal import Portal


def test_work_runs_on_the_loop_and_a_stopped_portal_starts_again():
    portal = Portal()

    async def answer() -> int:
        await asyncio.sleep(0)
        return 42

    for _ in range(2):
        assert portal.run(answer) == 42
        portal.stop()


def test_blocking_on_the_own_loop_is_refused():
    portal = Portal()

    async def inside() -> None:
        portal.run(inside)

    with pytest.raises(RuntimeError, match="own event loop"):
        portal.run(inside)
    portal.stop()
