"""Which epoch the followed store has, and which is the highest that anybody has shown (docs/consistency.md, b8).

Theory. Members that were cut off when the DR site was promoted form their old store again, and it looks sound from
inside. What tells is the check record: it has the epoch, and only nodes can write one. So it is read with each contact,
and at every member that turns out to be of another etcd cluster. A higher epoch is on disk before anything is done for
it; to serve no more waits for no disk.

The DR site's own copy may lack the last promotion: the node has read it of another member. Where that copy is all that
is left, the node is fenced at it like one of an old site, until its epoch is above all that was seen.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Final

from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import StoreError
from hsm_node.store.check_record import CheckRecord
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import decoded

Keep = Callable[[bytes, int], None]
"""Writes the cluster id and the epoch to this host's disk; raises StartError."""

_log: Final = logs.logger("hsm_node.store")


class Epochs:
    """From any thread."""

    def __init__(self, record: CheckRecord, value: bytes, keyring: Keyring, fence: Callable[[str], None]) -> None:
        """Know the epoch of the store that was opened.

        Args:
            record: its check record, authenticated.
            value: as that is stored.
            keyring: authenticates others.
            fence: has this node serve nothing any more, for that reason.
        """
        self.record = record
        """Newest check record of the store that is followed."""
        self._value = value
        self._keyring = keyring
        self._fence = fence
        self._seen = record.epoch
        self._above, self._why = 0, ""
        """The highest epoch for which this node is fenced, and what was said then; 0: for none."""
        self._keep: Keep = nowhere
        self._lock = threading.Lock()

    def remember(self, seen: int, keep: Keep) -> None:
        """Take what this host has seen in earlier lives, and where to keep what is seen from now on."""
        self._keep = keep
        if seen > self.record.epoch:
            self._seen = seen
            self._outlive(seen)

    def read(self, pair: KeyValue | None) -> None:
        """Take the check record of the store that is followed.

        Raises:
            StoreError: its epoch is higher, and this host's disk does not take it; or nothing can be authenticated.
        """
        if pair is None or pair.value == self._value:
            return
        found = authentic(pair, self._keyring)
        if found is None or found.cluster_id != self.record.cluster_id:
            return  # Under another master key, or damaged: whoever writes finds that out.
        with self._lock:
            if found.epoch < self._seen:
                self._fence(_outlived(found.epoch, self._seen))
                return
            self._note(found.epoch)
            before, self.record, self._value = self.record, found, pair.value
        if found.epoch != before.epoch:
            logs.event(_log, "warning", "the store has a new epoch", epoch=found.epoch, promoted=found.promoted)

    def shown(self, pairs: Iterable[KeyValue]) -> None:
        """Take the check records of stores that are not followed: if one has gone on without this one, serve no more.

        Raises:
            StoreError: this host's disk does not take that: until it is started again, this node serves no more.
        """
        for pair in pairs:
            found = authentic(pair, self._keyring)
            if found is None or found.cluster_id != self.record.cluster_id:
                continue
            with self._lock:
                if found.epoch > self.record.epoch:
                    self._outlive(found.epoch)
                    self._note(found.epoch)

    @property
    def seen(self) -> int:
        """The highest that anybody has shown."""
        return max(self._seen, self._above)

    @property
    def outlived(self) -> str:
        """Why this node is fenced, where it is so for an epoch alone; empty: it is not."""
        return self._why

    @property
    def has_caught_up(self) -> bool:
        """Whether the followed store's epoch is as high by now as those for which this node was fenced."""
        return self._above > 0 and self.record.epoch >= self._above

    def lift(self, lift: Callable[[str], None]) -> None:
        """Have this node fenced no more for the reason that `lift` is given, unless a higher epoch was shown since."""
        with self._lock:
            if self.has_caught_up:
                lift(self._why)
                self._above, self._why = 0, ""

    def of(self, pair: KeyValue) -> int:
        """Return the epoch of a check record of this store, on whichever side of a promotion; 0: it is none.

        Raises:
            StoreError: nobody can say.
        """
        found = authentic(pair, self._keyring)
        return found.epoch if found is not None and found.cluster_id == self.record.cluster_id else 0

    def _outlive(self, seen: int) -> None:
        self._above = max(self._above, seen)
        self._why = self._why or _outlived(self.record.epoch, seen)
        self._fence(self._why)

    def _note(self, epoch: int) -> None:
        if epoch <= self._seen:
            return
        try:
            self._keep(self.record.cluster_id, epoch)
        except StartError as error:
            raise StoreError(f"epoch {epoch} was seen, and cannot be kept: {error}") from None
        self._seen = epoch


def authentic(pair: KeyValue, keyring: Keyring) -> CheckRecord | None:
    """Return a check record that a node has written; None: it is damaged, or under a master key that is not held.

    Raises:
        StoreError: the master key's device does not answer, so nothing is known.
    """
    try:
        checked = decoded(pair)
    except StoreError:
        return None
    try:
        return checked.record if keyring.mac_matches(checked.record.authenticated, checked.mac) else None
    except Refusal as refusal:
        raise StoreError(f"nobody can say whether its check record is authentic: {refusal.detail}") from None


def _outlived(epoch: int, seen: int) -> str:
    return (
        f"the store has epoch {epoch}, and epoch {seen} was seen: the DR site was promoted and goes on without it. "
        "Nothing of this site is served; bring it back as docs/disaster-recovery.md says"
    )


def nowhere(_cluster_id: bytes, _epoch: int) -> None:
    """Keep nothing: for whoever serves nobody."""
