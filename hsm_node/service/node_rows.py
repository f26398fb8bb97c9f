"""Rows of which each node of the cluster has one."""

from collections.abc import Callable, Collection
from typing import Generic, Protocol, TypeVar

from hsm_node.store.base import Row


class NodeRecord(Protocol):
    """What such a row holds."""

    @property
    def node(self) -> str:
        """Whose row it is."""

    @property
    def order(self) -> int:
        """How often it was written."""


R = TypeVar("R", bound=NodeRecord)


class NodeEntry(Generic[R]):
    """A node's record, and the revision that it has in the store."""

    __slots__ = ("record", "revision")

    def __init__(self, record: R, revision: int) -> None:
        self.record = record
        self.revision = revision


class NodeRows(Generic[R]):
    """A `RowKind`. What a node's row said stays where it must not be used any more: a forged row undoes nothing."""

    def __init__(self, noun: str, formats: Collection[int], open_row: Callable[[bytes, bytes], R]) -> None:
        """Describe the kind.

        Args:
            noun: what such a row is about.
            formats: numbers of its formats.
            open_row: makes the record of a row's data and name, or raises RecordError.
        """
        self.noun = noun
        self.formats = formats
        self._open = open_row
        self.held: dict[str, NodeEntry[R]] = {}
        """By node."""

    def open(self, row: Row) -> R:
        """Return the record of an authentic row."""
        return self._open(row.data, row.name)

    def known(self, record: R) -> NodeEntry[R] | None:
        """Return what is held of that node."""
        return self.held.get(record.node)

    def take(self, record: R, row: Row) -> NodeEntry[R]:
        """Hold the newest record."""
        entry = self.held[record.node] = NodeEntry(record, row.revision)
        return entry

    def forget(self, name: bytes) -> None:
        """Keep what was known."""
