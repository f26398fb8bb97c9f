"""The client's tasks."""

import asyncio

from hsm_client.keeper import Keeper


async def test_stop_ends_all_tasks():
    keeper = Keeper()

    async def forever() -> None:
        await asyncio.Event().wait()

    task = keeper.spawn(forever(), "forever")
    await keeper.stop()
    assert task.cancelled()
