"""The thread that proves contact: a linearizable read four times a second, and an eye on the watch."""

import threading
from typing import Final

from hsm_daemon import clock
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import CALL_S, Calls, CompactedError
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.transactions import CHECK_KEY, get
from hsm_node.store.etcd.watching import END_S, Watching

INTERVAL_S: Final = 0.25
"""Between two reads: with one try that fails, the next member's answer is there before the node counts as stale."""


class Probing:
    """Begins with `start`, ends when the calls are closed."""

    def __init__(self, calls: Calls, following: Following, watching: Watching) -> None:
        """Begin nothing yet.

        Args:
            calls: to the members.
            following: hears of each read.
            watching: whose watch is looked after.
        """
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
            try:
                answered = self._calls.call(lambda link: link.range, get(CHECK_KEY), CALL_S)
                self._following.read(answered.begun, answered.answer.header.revision)
            except (StoreError, CompactedError) as error:
                self._following.wrong(error if isinstance(error, StoreError) else StoreError(str(error)))
            self._watching.check()
