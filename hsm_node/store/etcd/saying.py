"""What this node says of itself and of others: that it is there, how far it is, that it has stopped, who is out.

A store that is halted (full, or its members' data differ) takes no registration. Where an earlier life of this node has
not said that it stopped, changes wait for the node all the same, and name it when that was in vain: so it may serve as
stale, as a node that is out does. It registers as soon as the store takes changes again (docs/consistency.md, b2).
"""

import os
import threading
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.statements import CONFIRMED, NODES, OUT, WANTED, Confirmation, Registration, Seal, Word
from hsm_node.store.base import HaltedStoreError, StoreError
from hsm_node.store.etcd.calls import Calls, CompactedError
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.messages_pb2 import KeyValue, RangeResponse
from hsm_node.store.etcd.transactions import deletion, get, only, put_told, told_key
from hsm_node.store.etcd.waits import Waits
from hsm_node.store.etcd.watching import END_S

BOOT_ID_BYTES: Final = 16
REGISTER_S: Final = 10.0
"""For the first writing: an election may be under way."""
MAX_REGISTER_TRIES: Final = 4
"""Against other processes that take the same name at the same time: there should be none."""
LOOK_S: Final = 0.25
"""Between two looks of the thread that nothing asked for: after a writing that failed it is tried again."""

HALTED_S: Final = 1.0
"""Between two tries to register while the store is halted: each of them is refused."""

_kept = logs.logger("hsm_node.store")
_log = LimitedLog(_kept, 1 / 10)
LATE: Final = "this node could not register, so it serves as stale until the store takes changes again"
FENCED: Final = (
    "the store does not have this process under this node's name any more: another process has the name, the node was "
    "removed, or the store was restored; see to it that one process has the name, and start that one again"
)


class Saying:
    """The rows that this node writes beside records."""

    def __init__(self, calls: Calls, following: Following, waits: Waits, seal: Seal, node: str) -> None:
        """Say nothing yet.

        Args:
            calls: to the members.
            following: how far this node is.
            waits: which revision is wanted.
            seal: makes the rows.
            node: this node's name; empty: it says nothing, and nobody waits for it.
        """
        self._calls = calls
        self._following = following
        self._waits = waits
        self.node = node
        self._seal = seal
        self._boot_id = os.urandom(BOOT_ID_BYTES) if node else b""
        self._life = 0
        self.registered = 0
        """Revision of the row `nodes/N`."""
        self.is_warm: Callable[[], bool] = lambda: True
        """Whether this node may vouch for one that starts."""
        self._own = b""
        """The row `nodes/N`, as this process has written it."""
        self._earlier: bytes | None = None
        """The row of an earlier life, while this one has not registered for a halted store; None: it has."""
        self._why = ""
        """What the store said then."""
        self._late_at = float("-inf")
        """When it last tried."""
        self.wanted = seal.make(WANTED, Word(self._boot_id))
        """The row that has others confirm."""
        self._stopping = False
        self._missed: set[str] = set()
        self._confirmed = -1
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="etcd-saying", daemon=True)

    def register(self) -> None:
        """Say that this node is there: from now on changes wait for it.

        Where the store is halted, and changes wait for an earlier life of this node, it is done as soon as it is not.

        Raises:
            StoreError: the store did not take it.
        """
        if not self.node:
            return
        for _ in range(MAX_REGISTER_TRIES):
            found = self._calls.range(get(told_key(NODES + self.node)), REGISTER_S)
            try:
                if self._registers(found):
                    return
            except HaltedStoreError as error:
                pair = only(found)
                if pair is None or not self._is_waited_for(pair):
                    raise StoreError(f"{error}; no change would wait for this node") from None
                self._earlier, self._why = pair.value, str(error)
                logs.event(_kept, "warning", "this node starts without its registration", reason=str(error))
                return
        raise StoreError("other processes register under this node's name all the time; stop them")

    def check(self) -> None:
        """Refuse to be current, and to change anything, before this node has registered.

        Raises:
            HaltedStoreError: it has not.
        """
        if self._earlier is not None:
            raise HaltedStoreError(f"{LATE}: {self._why}")

    def start(self) -> None:
        """Confirm from now on, the revision that was loaded first."""
        self._thread.start()

    def ask(self) -> None:
        """Have every node confirm what it has.

        Raises:
            StoreError: the store did not take it.
        """
        self._calls.txn(put_told(WANTED, self.wanted))

    def wake(self) -> None:
        """Have the thread look: something was applied, or is wanted."""
        self._wake.set()

    def missed(self, names: list[str]) -> None:
        """Have it said that these did not confirm in time."""
        self._missed.update(names)
        self._wake.set()

    def is_own(self, registration: KeyValue | None) -> bool:
        """Whether the row `nodes/N` is this process's; note it where it is not."""
        own = (self._own, self._earlier)
        if self._stopping or (registration is not None and registration.value in own):
            return True
        self._following.fence(FENCED)
        return False

    def stopped(self) -> None:
        """Say that this node serves nothing any more.

        Raises:
            StoreError: the store did not take it: changes wait for this node until it is back.
        """
        self._stopping = True
        if self.node:
            path = NODES + self.node
            last = self._seal.make(path, Registration(self._boot_id, self._life, stopped=True))
            self._calls.txn(put_told(path, last, value={told_key(path): self._own}))

    def mark(self, name: str, registered_at: int) -> None:
        """Say that a node is out, unless somebody has.

        Who was removed meanwhile, or has registered anew, is not marked.

        Raises:
            StoreError: the store did not take it.
        """
        path = OUT + name
        said = self._seal.make(path, Word(self._boot_id))
        there = {told_key(NODES + name): registered_at, told_key(path): 0}
        self._calls.txn(put_told(path, said, revision=there))

    def join(self) -> None:
        """Wait for the thread's end, after all was closed."""
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(END_S)

    def came_back(self, mark: KeyValue) -> None:
        """Delete the row that says that this node is out.

        Raises:
            StoreError: the store did not take it.
        """
        self._calls.txn(deletion(mark.key, mark.mod_revision))

    def _registers(self, found: RangeResponse) -> bool:
        """Write the row in the place of what was found; False: another process was faster."""
        path, pair = NODES + self.node, only(found)
        before = 0 if pair is None else pair.mod_revision
        if self._earlier is None:  # Else what was tried before may have come about meanwhile: it stays the same row.
            self._life = found.header.revision
            self._own = self._seal.make(path, Registration(self._boot_id, self._life))
        answer = self._calls.txn(put_told(path, self._own, revision={told_key(path): before}), REGISTER_S)
        self.registered = answer.header.revision
        return answer.succeeded or self._is_there(path)

    def _is_waited_for(self, pair: KeyValue) -> bool:
        """Whether changes wait for that life of this node: it has registered, and not said that it stopped."""
        said = self._seal.open(NODES + self.node, pair.value, Registration)
        return said is not None and not said.stopped

    def _register_late(self) -> None:
        """Register if the store takes it by now; who has this node's name meanwhile keeps it."""
        if self._earlier is None or clock.monotonic() - self._late_at < HALTED_S:
            return
        self._late_at = clock.monotonic()
        found = self._calls.range(get(told_key(NODES + self.node)), REGISTER_S)
        pair = only(found)
        if pair is None or pair.value not in (self._own, self._earlier):
            self._following.fence(FENCED)
        elif pair.value == self._own or self._registers(found):
            self.registered, self._earlier = max(self.registered, pair.mod_revision), None
            logs.event(_kept, "info", "the store takes changes again: this node has registered")

    def _is_there(self, path: str) -> bool:
        """Whether the row is there all the same: the answer to its writing was lost, and it was sent again."""
        pair = only(self._calls.range(get(told_key(path)), REGISTER_S))
        return pair is not None and pair.value == self._own

    def _run(self) -> None:
        while not self._calls.closing.is_set():
            self._wake.wait(LOOK_S)
            self._wake.clear()
            if self._following.fenced:
                continue  # It vouches for nothing.
            try:
                self._register_late()
                if self._earlier is None:
                    self._confirm()
                self._mark()
            except (StoreError, CompactedError) as error:
                if not self._calls.closing.is_set():
                    _log.event("warning", "this node could not say how far it is", reason=str(error))

    def _confirm(self) -> None:
        applied = self._following.applied_revision
        if not self.node or self._stopping or not self._confirmed < max(self._waits.wanted, 1) <= applied:
            return
        mine = {told_key(NODES + self.node): self._own}
        path = CONFIRMED + self.node
        said = self._seal.make(path, Confirmation(self._boot_id, applied, self.is_warm()))
        answer = self._calls.txn(put_told(path, said, value=mine))
        if answer.succeeded:
            self._confirmed = applied
        elif not self._stopping:
            self._following.fence(FENCED)

    def _mark(self) -> None:
        for name in list(self._missed):
            registered_at = self._waits.registered_at(name)
            if registered_at and not self._waits.is_marked(name):
                self.mark(name, registered_at)
            self._missed.discard(name)
