"""The row of a node's own: where it goes, and what is said when it does not."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from hsm_node.core.refusal import Refusal
from hsm_node.service.node_rows import NodeEntry, NodeRows
from hsm_node.service.own_row import OwnRow, Place
from hsm_node.store.base import StoreError
from hsm_wire.statuses import Status


class FakeStore:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def create(self, *row: Any) -> None:
        self.made.append(("create", *row))

    def change(self, *row: Any) -> None:
        self.made.append(("change", *row))


class Own:
    """The row of node-1, and what is around it."""

    def __init__(self) -> None:
        self.rows: NodeRows[Any] = NodeRows("row", (7,), lambda _data, _name: None)
        self.follower: Any = SimpleNamespace(refused={})
        self.store: Any = FakeStore()
        self.failed: list[str] = []
        self.row = OwnRow("node-1", str.encode, self.rows, self.follower, self.store, self.failed.append)

    async def round(self, answer: str | Exception) -> None:
        async def look() -> str:
            if isinstance(answer, Exception):
                raise answer
            return answer

        self.row.begin(look(), "a look")
        assert self.row.busy
        while self.row.busy:
            await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.fixture
def own() -> Own:
    return Own()


def test_the_first_one_is_made_and_the_next_replaces_what_was_seen(own: Own) -> None:
    assert (own.row.held, own.row.place) == (None, Place(1, 0))
    own.row.put(b"first", own.row.place)
    own.rows.held["node-1"] = NodeEntry(SimpleNamespace(node="node-1", order=3), 8)
    own.rows.held["node-2"] = NodeEntry(SimpleNamespace(node="node-2", order=9), 99)
    assert own.row.held is not None
    assert own.row.place == Place(4, 8)
    own.row.put(b"next", own.row.place)
    assert own.store.made == [("create", b"node-1", b"first"), ("change", b"node-1", 8, b"next")]


def test_one_that_must_not_be_used_is_replaced_at_its_own_revision_and_counts_as_newer(own: Own) -> None:
    own.follower.refused[b"node-1"] = SimpleNamespace(revision=20)
    assert (own.row.refused, own.row.place) == (True, Place(21, 20))
    own.rows.held["node-1"] = NodeEntry(SimpleNamespace(node="node-1", order=3), 8)
    assert own.row.place == Place(21, 20)


async def test_what_is_wrong_is_told_once_until_it_is_something_else(own: Own) -> None:
    for answer in ("", StoreError("full"), "full", Refusal(Status.OVERLOADED, "busy"), "", "busy"):
        await own.round(answer)
    assert own.failed == ["full", "busy", "busy"]
