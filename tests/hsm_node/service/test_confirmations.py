"""Changes that wait for other nodes, as clients and the page of metrics see them."""

import ast
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from hsm_node.service.confirmations import MAX_WAITING
from hsm_wire.objects import CreateObject, UpdateObject
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

Start = Callable[[], Any]
ROOT = Path(__file__).parent.parent.parent.parent


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


def test_every_change_waits_but_those_that_change_nothing_that_is_answered() -> None:
    """Who calls `change` of the store without having the other nodes confirm it, and why that is right."""
    reasons = {
        "key_rewriter.py": "a use is counted at the record's newest revision: an old state counts none",
        "rewrapping.py": "the same record under another master key: it allows what it allowed",
        "master_keys.py": "what a node says of itself, for the rotation of the master key",
    }
    silent = set()
    for file in (ROOT / "hsm_node").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_call = isinstance(node, ast.Call) and any(
                isinstance(part, ast.Attribute) and part.attr == "change" and "store" in ast.unparse(part.value)
                for part in (node.func, *node.args)
            )
            if is_call and not any(keyword.arg == "waits" for keyword in node.keywords):
                silent.add(file.name)
    assert silent == set(reasons)
