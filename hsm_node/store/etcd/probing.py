"""The thread that proves contact: a linearizable read four times a second, and an eye on the watch.

A read counts only where nobody has said that this node is out: until it has deleted that row, changes are not waiting
for it (docs/consistency.md, b2).
"""

import threading
from typing import Final

from hsm_daemon import clock
from hsm_node.core.statements import NODES, OUT
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import CALL_S, Calls, CompactedError
from hsm_node.store.etcd.epochs import Epochs
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.messages_pb2 import TxnResponse
from hsm_node.store.etcd.saying import Saying
from hsm_node.store.etcd.transactions import CHECK_KEY, only, reading, told_key
from hsm_node.store.etcd.warming import Warming
from hsm_node.store.etcd.watching import END_S, Watching

INTERVAL_S: Final = 0.25
"""Between two reads: with one try that fails, the next member's answer is there before the node counts as stale."""


class Probing:
    """Begins with `start`, ends when the calls are closed."""

    def __init__(
        self, calls: Calls, following: Following, watching: Watching, saying: Saying, epochs: Epochs, warming: Warming
    ) -> None:
        """Begin nothing yet.

        Args:
            calls: to the members.
            following: hears of each read.
            watching: whose watch is looked after.
            saying: who this node is.
            epochs: takes the check record that each read finds.
            warming: says whether this node may be current at all.
        """
        self._epochs = epochs
        self._warming = warming
        self._saying = saying
        node = saying.node
        # In this order: whose store it is, who has this node's name, whether it is out.
        self._request = reading(CHECK_KEY, *((told_key(NODES + node), told_key(OUT + node)) if node else ()))
        self._calls = calls
        self._following = following
        self._watching = watching
        self._thread = threading.Thread(target=self._run, name="etcd-contact", daemon=True)

    def start(self) -> None:
        """Read from now on."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread's end, after all was closed."""
        if self._thread.is_alive():
            self._thread.join(END_S)

    def _run(self) -> None:
        due = clock.monotonic()
        while not self._calls.closing.wait(max(due - clock.monotonic(), 0.0)):
            due = clock.monotonic() + INTERVAL_S
            if not self.once():
                due = clock.monotonic()
            self._watching.check()

    def once(self) -> bool:
        """Try to prove contact; whether the next time has to come first."""
        try:
            answered = self._calls.call(lambda link: link.txn, self._request, CALL_S)
            if not self._counts(answered.answer):
                return False
            self._following.read(answered.begun, answered.answer.header.revision)
        except (StoreError, CompactedError) as error:
            self._following.wrong(error if isinstance(error, StoreError) else StoreError(str(error)))
        return True

    def _counts(self, answer: TxnResponse) -> bool:
        self._epochs.read(only(answer.responses[0].range))
        if not self._saying.node:
            return True
        if self._epochs.has_caught_up and self._following.fenced == self._epochs.outlived:
            self._saying.register()  # Before it serves: a change that comes later waits for this node.
            self._epochs.lift(self._following.lift)
            return False
        if self._following.fenced or not self._saying.is_own(only(answer.responses[1].range)):
            raise StoreError(self._following.fenced)
        self._saying.check()
        mark = only(answer.responses[2].range)  # Whoever wrote it: if it is forged, this node is stale for a moment.
        if mark is not None:
            self._saying.came_back(mark)
            return False
        self._warming.look()
        return True
