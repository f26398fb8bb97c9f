"""Who waits for room, and who is woken."""

import asyncio

import pytest

from hsm_client.waiting_line import WaitingLine

LONG_S = 30.0


class Places:
    """A line before some places; `served` are the names of those who took one."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.served: list[int] = []
        self.line = WaitingLine(lambda: self.room)

    async def come(self, name: int, timeout_s: float = LONG_S) -> None:
        await self.line.wait(asyncio.get_running_loop().time() + timeout_s)
        assert self.room > 0, "woken without a place"
        self.room -= 1
        self.served.append(name)

    def free(self, number: int) -> None:
        self.room += number
        self.line.room_made()


async def let_run() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def comers(places: Places, number: int) -> "list[asyncio.Task[None]]":
    tasks = [asyncio.ensure_future(places.come(name)) for name in range(number)]
    await let_run()
    return tasks


async def end(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_as_many_are_woken_as_there_is_room_first_come_first_served():
    places = Places()
    tasks = await comers(places, 10)
    for number, served in ((1, 1), (3, 4), (4, 8)):
        places.free(number)
        await let_run()
        assert places.served == list(range(served))
    assert len(places.line) == 2
    await end(tasks)
    assert places.line.empty


async def test_places_that_are_freed_while_somebody_is_woken_go_to_the_next_ones():
    places = Places()
    tasks = await comers(places, 6)
    places.free(2)
    await asyncio.sleep(0)  # the look: two are woken, and have not run
    places.free(2)
    await let_run()
    assert places.served == [0, 1, 2, 3]
    await end(tasks)


async def test_a_look_leaves_the_places_of_those_who_were_woken_before_it():
    places = Places()
    tasks = await comers(places, 1)
    tasks.append(asyncio.ensure_future(places.come(1)))  # runs before the look
    places.free(1)
    places.line.wake_all()  # whose task runs after the look
    await let_run()
    assert places.served == [0]
    assert len(places.line) == 1
    await end(tasks)


@pytest.mark.parametrize("gone", [[0], [1], [0, 1], [0, 1, 2]])
async def test_who_is_cancelled_after_it_was_woken_passes_its_turn_on(gone):
    places = Places()
    tasks = await comers(places, 6)
    places.free(3)
    await asyncio.sleep(0)
    for name in gone:
        tasks[name].cancel()
    await let_run()
    assert places.served == [name for name in range(6) if name not in gone][:3]
    await end(tasks)
    assert places.line.empty


async def test_who_is_cancelled_before_leaves_and_takes_nobodys_turn():
    places = Places()
    tasks = await comers(places, 4)
    tasks[1].cancel()
    await let_run()
    assert len(places.line) == 3
    tasks[0].cancel()  # and has not run when the places are given away
    places.free(1)
    await let_run()
    assert places.served == [2]
    await end(tasks)


async def test_a_turn_that_comes_with_the_deadline_is_not_lost():
    places = Places()
    late = asyncio.ensure_future(places.come(0, timeout_s=0.01))
    other = asyncio.ensure_future(places.come(1))
    with pytest.raises(TimeoutError):
        await late
    places.free(1)
    await other
    assert places.served == [1]
    assert places.line.empty


async def test_who_was_woken_in_vain_waits_before_all_others():
    places = Places()
    order: list[str] = []

    async def unlucky() -> None:
        deadline = asyncio.get_running_loop().time() + LONG_S
        await places.line.wait(deadline)
        await places.line.wait(deadline, first=True)
        order.append("unlucky")

    async def other() -> None:
        await places.line.wait(asyncio.get_running_loop().time() + LONG_S)
        order.append("other")

    tasks = [asyncio.ensure_future(unlucky())]
    await let_run()
    places.room = 1
    places.line.room_made()
    await asyncio.sleep(0)
    tasks.append(asyncio.ensure_future(other()))
    places.room = 0  # the connection was lost meanwhile
    await let_run()
    assert order == []
    places.free(2)
    await let_run()
    assert order == ["unlucky", "other"]
    await end(tasks)


async def test_everybody_is_woken_where_there_is_something_else_to_know():
    line = WaitingLine(lambda: 0)
    loop = asyncio.get_running_loop()
    tasks = [asyncio.ensure_future(line.wait(loop.time() + LONG_S)) for _ in range(5)]
    await let_run()
    line.wake_all()
    await asyncio.gather(*tasks)
    assert line.empty
