"""What this node says of itself and of others: that it is there, how far it is, that it has stopped, who is out.

The thread writes one thing at a time, and always the newest: while it confirms a revision, those that are wanted
meanwhile wait for the next writing.
"""

import os
import threading
from typing import Final

from msgspec.msgpack import encode

from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.confirmations import CONFIRMED, NODES, OUT, Confirmation, Registration
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import Calls, CompactedError
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.transactions import deletion, put_told, told_key
from hsm_node.store.etcd.waits import Waits
from hsm_node.store.etcd.watching import END_S

BOOT_ID_BYTES: Final = 16
REGISTER_S: Final = 10.0
"""For the first writing: an election may be under way."""
LOOK_S: Final = 0.25
"""Between two looks of the thread that nothing asked for: after a writing that failed it is tried again."""

_log = LimitedLog(logs.logger("hsm_node.store"), 1 / 10)
FENCED: Final = (
    "another process has this node's name, or the node was removed; stop one of them, or start this one again"
)


class Saying:
    """The rows that this node writes beside records."""

    def __init__(self, calls: Calls, following: Following, waits: Waits, node: str) -> None:
        """Say nothing yet.

        Args:
            calls: to the members.
            following: how far this node is.
            waits: which revision is wanted.
            node: this node's name; empty: it says nothing, and nobody waits for it.
        """
        self._calls = calls
        self._following = following
        self._waits = waits
        self.node = node
        self._registration = Registration(os.urandom(BOOT_ID_BYTES))
        self._own = encode(self._registration)
        self._stopping = False
        self._missed: set[str] = set()
        self._confirmed = -1
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="etcd-saying", daemon=True)

    def register(self) -> None:
        """Say that this node is there: from now on changes wait for it.

        Raises:
            StoreError: the store did not take it.
        """
        if self.node:
            self._calls.txn(put_told(NODES + self.node, self._own), REGISTER_S)

    def start(self) -> None:
        """Confirm from now on, the revision that was loaded first."""
        self._thread.start()

    def wake(self) -> None:
        """Have the thread look: something was applied, or is wanted."""
        self._wake.set()

    def missed(self, names: list[str]) -> None:
        """Have it said that these did not confirm in time."""
        self._missed.update(names)
        self._wake.set()

    def is_own(self, registration: KeyValue | None) -> bool:
        """Whether the row `nodes/N` is this process's; note it where it is not."""
        if self._stopping or (registration is not None and registration.value == self._own):
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
            last = encode(Registration(self._registration.boot_id, stopped=True))
            self._calls.txn(put_told(NODES + self.node, last, value={told_key(NODES + self.node): self._own}))

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

    def _run(self) -> None:
        while not self._calls.closing.is_set():
            self._wake.wait(LOOK_S)
            self._wake.clear()
            try:
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
        answer = self._calls.txn(put_told(CONFIRMED + self.node, encode(Confirmation(applied)), value=mine))
        if answer.succeeded:
            self._confirmed = applied
        elif not self._stopping:
            self._following.fence(FENCED)

    def _mark(self) -> None:
        while self._missed:
            name = self._missed.pop()
            if not self._waits.is_marked(name):
                self._calls.txn(put_told(OUT + name, b"", revision={told_key(OUT + name): 0}))
