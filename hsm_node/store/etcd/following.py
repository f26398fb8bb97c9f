"""What the threads that follow the store hand to the node: rows, contact, and what is wrong."""

import contextlib
import threading
from collections.abc import Callable, Iterable
from typing import Final

from hsm_daemon import clock
from hsm_node.core.confirmations import CURRENT_S
from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, Row, StoreError
from hsm_node.store.etcd.contact import Contact
from hsm_node.store.etcd.follow_state import Change, FollowState

STALE_AFTER_S: Final = CURRENT_S
"""Without contact."""


class Following:
    """The state that the threads and the node share; every method takes its lock and none waits for the store."""

    def __init__(self) -> None:
        """Begin with nothing seen."""
        self._moved = threading.Condition()
        self._state = FollowState()
        self._contact = Contact()
        self._replaced: ReplacedStoreError | None = None
        self.fenced = ""
        """Why this node must not serve, confirm or change anything; empty: it may."""
        self._listed = False
        self._taken = self._applied = 0
        """Up to which revision rows were taken, and applied."""
        self._applying = False
        self.on_applied: Callable[[], None] = _nobody
        self._wrong = StoreError("no member answers")
        self._looked = False
        self._closed = False
        self._tell: Callable[[], object] = _nobody
        self.contact: float | None = None
        """When a read was begun at or below whose revision the node has everything; None: there was none."""

    # The node

    def tell(self, arrived: Callable[[], object]) -> None:
        """Call that whenever rows have come that `look` will show; from any thread."""
        self._tell = arrived

    def look(self) -> bool:
        """Whether there are rows to take.

        Raises:
            ReplacedStoreError: what is there is not what was followed.
            HaltedStoreError: there is no contact, for the store takes no changes.
            StoreError: there is no contact.
        """
        with self._moved:
            if self._closed:
                raise StoreError("this node has closed the store")
            self._check()
            since, now = self._contact.since, clock.boottime()
            if self._listed and not self._looked:
                return True  # However long the list took: a node begins with what is there, and as stale.
            if since is None or now - since > STALE_AFTER_S:
                late = "" if since is None else f" for {now - since:.1f} s"
                lost = HaltedStoreError if isinstance(self._wrong, HaltedStoreError) else StoreError
                raise lost(f"no contact with the store{late}: {self._wrong}")
            if self._state.waiting:
                return True
            self.contact = since
            return False

    def take(self) -> list[Row]:
        """Return the rows that were not taken yet, in the order of revisions."""
        with self._moved:
            if self._closed:
                raise StoreError("this node has closed the store")
            rows = self._state.take()
            self._looked = self._applying = True
            self._taken = self._state.arrived
            self.contact = self._contact.since
            self._moved.notify_all()
        return rows

    def applied(self) -> None:
        """Note that what was taken is in use."""
        with self._moved:
            self._applying = False
            self._applied = self._taken
        self.on_applied()

    @property
    def applied_revision(self) -> int:
        """Up to which everything that has come is in use."""
        with self._moved:
            idle = self._looked and not self._applying and not self._state.waiting
            return self._state.arrived if idle else self._applied

    def fence(self, text: str) -> None:
        """Serve and write nothing any more. The first reason is the one."""
        with self._moved:
            self.fenced = self.fenced or text

    def lift(self, text: str) -> None:
        """Serve and write again, if that was the reason."""
        with self._moved:
            if self.fenced == text:
                self.fenced = ""

    def check(self) -> None:
        """Refuse to write to what is not the store that was followed.

        Raises:
            ReplacedStoreError: it was found in the store's place.
        """
        with self._moved:
            self._check()

    def _check(self) -> None:
        if self.fenced:
            raise ReplacedStoreError(self.fenced)
        if self._replaced is not None:
            raise ReplacedStoreError(str(self._replaced))

    @property
    def revision(self) -> int:
        """Up to which everything has come."""
        return self._state.arrived

    def wait_for(self, revision: int, within_s: float) -> bool:
        """Wait until everything up to that revision has come; False: it did not in time."""
        with self._moved:
            return self._moved.wait_for(lambda: self._closed or self._state.arrived >= revision, within_s)

    # The threads

    def listed(self, changes: Iterable[Change], revision: int, begun: float | None) -> None:
        """Take a list of all rows at that revision; `begun`: when it was, where it counts as contact."""
        with self._moved:
            came = self._state.listed(changes, revision)
            self._replaced = None
            self._listed = True
            self._contact.arrived(revision)
            if begun is not None:
                self._contact.read(begun, revision)
            self._moved.notify_all()
        if came:
            self._told()

    def watched(self, changes: Iterable[Change]) -> None:
        """Take events; wait while the node does not take its rows."""
        with self._moved:
            came = self._state.watched(changes)
            self._contact.arrived(self._state.arrived)
            self._moved.notify_all()
        if came:
            self._told()
        with self._moved:
            self._moved.wait_for(lambda: self._closed or not self._state.full)

    def read(self, begun: float, revision: int) -> None:
        """Take a linearizable read: when it was sent, and its revision."""
        with self._moved:
            self._contact.read(begun, revision)

    def wrong(self, error: StoreError) -> None:
        """Note why there is no contact. That another store was found holds until a list was like what was known."""
        with self._moved:
            self._wrong = error
            if isinstance(error, ReplacedStoreError):
                self._replaced = error

    def behind(self) -> float:
        """Return for how many seconds the watch has owed what a read has shown."""
        with self._moved:
            return 0.0 if self._state.full else self._contact.behind(clock.boottime())

    def close(self) -> None:
        """Let go of whoever waits."""
        with self._moved:
            self._closed = True
            self._moved.notify_all()

    def _told(self) -> None:
        with contextlib.suppress(RuntimeError):  # The node's loop has ended.
            self._tell()


def _nobody() -> None:
    """Nobody is told."""
