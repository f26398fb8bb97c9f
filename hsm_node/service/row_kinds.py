"""Which kinds of rows a store has: the number of a row's format -> what opens such a row and takes it.

A kind of rows more is a `RowKind` more in the table that `Keystore` makes; nothing else has to know of it.
"""

from collections.abc import Collection
from typing import Any, Protocol, TypeVar

from hsm_node.core.envelopes import format_of
from hsm_node.store.base import Row


class Written(Protocol):
    """A record: it counts how often it was written."""

    @property
    def order(self) -> int:
        """The more, the newer: what the ledger compares."""


class Known(Protocol):
    """A record as of one revision."""

    @property
    def revision(self) -> int:
        """That its row has in the store."""


R = TypeVar("R", bound=Written)
E_co = TypeVar("E_co", bound=Known, covariant=True)


class RowKind(Protocol[R, E_co]):
    """What is done with the rows of one kind: R is what is in a row, E what the node holds of it."""

    @property
    def formats(self) -> Collection[int]:
        """Numbers of the formats that such rows have; no other kind has them."""

    @property
    def noun(self) -> str:
        """What such a row is about, for people."""

    def open(self, row: Row) -> R:
        """Return what an authentic row holds.

        Raises:
            RecordError: it is not authentic, or belongs elsewhere.
        """

    def known(self, record: R) -> E_co | None:
        """Return what the node holds of that name, or None."""

    def take(self, record: R, row: Row) -> E_co:
        """Hold the newest record of its name; return what is held now."""

    def forget(self, name: bytes) -> None:
        """Hold nothing under that name any more, if something was: its row must not be used."""


class RowKinds:
    """The table. A row says itself which kind it claims to be; its MAC goes over that."""

    def __init__(self, *kinds: RowKind[Any, Any]) -> None:
        self._kinds = kinds
        self._by_format: dict[int, RowKind[Any, Any]] = {}
        for kind in kinds:
            for number in kind.formats:
                if number in self._by_format:
                    raise ValueError(f"two kinds of rows have the format {number}")
                self._by_format[number] = kind

    def of(self, row: Row) -> RowKind[Any, Any] | None:
        """Return the kind that a row claims to be; None where there is no such kind. Nothing is authenticated by it."""
        return self._by_format.get(format_of(row.data))

    def forget(self, name: bytes) -> None:
        """Hold nothing under that name any more, whatever it was."""
        for kind in self._kinds:
            kind.forget(name)
