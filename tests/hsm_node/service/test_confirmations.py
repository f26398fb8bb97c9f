"""Changes that wait for other nodes, as clients and the page of metrics see them."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from hsm_node.service.confirmations import MAX_WAITING
from hsm_wire.objects import CreateObject, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]


async def test_changes_are_counted_by_how_they_ended_and_no_more_are_made_than_may_wait(start_node: Start) -> None:
    node = start_node()
    client = await node.client()
    one = os.urandom(16)
    await client.call(Opcode.CREATE_OBJECT, CreateObject(one, "data", b"v"))
    counts = node.keystore.confirmations
    await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="1"), operation_id=1)
    names: Future[list[str]] = Future()
    names.set_result(["node-2"])
    node.keystore.store.unconfirmed = lambda _revision: names
    await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="2"), operation_id=2)
    assert (counts.confirmed, counts.unconfirmed, counts.waiting) == (1, 1, 0)
    counts.waiting = MAX_WAITING
    answer = await client.call(Opcode.UPDATE_OBJECT, UpdateObject(one, label="3"), operation_id=3)
    assert (answer.status, answer.flags & 1) == (Status.OVERLOADED, 1)
