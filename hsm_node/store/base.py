"""What the service asks of a store: sealed records under names that mean nothing.

The rules of design.md section 6 that a driver keeps: a create happens only where the name is absent, a change
only at the revision that it names, nothing is ever deleted, and revisions only grow. `changed` and `rows_after`
are called on the event loop before requests are served; `create`, `change` and `read` may wait for the disk and are
called in a thread of their own.
"""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from hsm_node.core.keyring import Keyring


class Row(msgspec.Struct, frozen=True):
    """One sealed record, and the revision of its last change."""

    name: bytes
    revision: int
    data: bytes


class StoreError(Exception):
    """The store did not answer; whether a change happened is open. The text is for the log."""


class ReplacedStoreError(StoreError):
    """What answers is not the store that was followed: another file, or an older state of it."""


class Store(Protocol):
    """One node's hold on the store."""

    @property
    def cluster_id(self) -> bytes:
        """16 bytes, made with the store."""

    @property
    def epoch(self) -> int:
        """Counts promotions of the DR site."""

    def changed(self) -> bool:
        """Whether another connection has committed since the last call.

        Raises:
            ReplacedStoreError: another store stands in its place.
        """

    def rows_after(self, revision: int) -> list[Row]:
        """Return what is newer, in the order of revisions. A row that is out of order has empty data: nobody takes
        that for authentic.

        Raises:
            ReplacedStoreError: the store has not come as far as that revision.
        """

    def read(self, name: bytes) -> Row | None:
        """Return the newest committed row of that name, whichever node wrote it."""

    def create(self, name: bytes, data: bytes) -> Row:
        """Store a record if the name is absent; return the row that is there now, the old one if there was one."""

    def change(self, name: bytes, revision: int, data: bytes) -> Row | None:
        """Replace a record that is still at that revision; None where it is not."""

    def master_key_version(self, keyring: Keyring) -> int:
        """Return the version of the master key that the store is under; 0 where the keyring does not hold it."""

    def reseal(self, keyring: Keyring, version: int, unchanged: Mapping[bytes, int]) -> bool:
        """Put the store under that master key, unless it is already.

        False, and nothing is changed, where one of these rows is not at that revision any more (name -> revision).
        """

    def unconfirmed(self, revision: int) -> list[str]:
        """Return nodes that may serve a state older than `revision` (section 6, rule 3); waits for the others."""

    def close(self) -> None:
        """Let go of the store."""
