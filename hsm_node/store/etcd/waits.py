"""Changes that wait until the other nodes have them: one thread for all, which looks at the clock.

Theory: docs/consistency.md, (a). Nobody asks the store while it waits: what other nodes confirm comes by the watch. So
a wait goes on by the clock where the store is lost meanwhile.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.core.confirmations import Nodes, Wait
from hsm_node.core.statements import Seal, Told
from hsm_node.store.base import StoreError

MAX_ENDED: Final = 1_024
"""Ends that nobody has asked for yet. Whoever asks for an older one reads the rows once more."""
END_S: Final = 5.0
"""For the thread to end."""

_log = LimitedLog(logs.logger("hsm_node.store"), 1 / 10)
"""Whoever writes such rows may write many."""


class Waits:
    """What is known of the other nodes, and who waits for them. From any thread."""

    def __init__(self, own: str, seal: Seal) -> None:
        """Wait for nothing yet.

        Args:
            own: name of this node; empty: it has none, and never confirms anything.
            seal: tells what nodes have said from what others have written.
        """
        self._own = own
        self._moved = threading.Condition()
        self._nodes = Nodes(seal)
        self._waiting: list[tuple[Wait, Future[list[str]]]] = []
        self._of: OrderedDict[int, Future[list[str]]] = OrderedDict()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="etcd-waits", daemon=True)
        self.missed: Callable[[list[str]], None] = _nobody
        """Told, in this thread, who did not confirm in time."""

    def start(self) -> None:
        """Look at the clock from now on."""
        self._thread.start()

    @property
    def wanted(self) -> int:
        """Revision of the newest change that a node waits for."""
        return self._nodes.wanted

    @property
    def refused(self) -> int:
        """Rows that no node has written, or an earlier life of one."""
        return self._nodes.refused

    @property
    def registered(self) -> list[str]:
        """Nodes that are registered, as far as is known here."""
        with self._moved:
            return self._nodes.registered

    @property
    def missing(self) -> list[str]:
        """Of these, nodes that did not confirm in time and have not come back."""
        with self._moved:
            return self._nodes.missing

    def registered_at(self, name: str) -> int:
        """Return the revision of a node's registration, as far as is known here; 0: there is none."""
        with self._moved:
            return self._nodes.registered_at(name)

    def has(self, name: str, revision: int) -> bool:
        """Whether a node has confirmed that revision or a later one, as far as is known here."""
        with self._moved:
            return self._nodes.has(name, revision)

    def lags(self, revision: int) -> dict[str, int]:
        """Return the other nodes that follow the store, and by how much each is below that revision, or was cold."""
        with self._moved:
            others = [(name, known) for name, known in self._nodes.known.items() if name != self._own]
            return {name: max(revision - known.vouched, 0) for name, known in others if known.stopped is False}

    def is_marked(self, name: str) -> bool:
        """Whether that node has a row `out/N`, as far as is known here."""
        return name in self._nodes.out

    def marked_at(self, name: str, revision: int) -> float:
        """Return since when it is known here that a node has a row `out/N` of that revision: now, where it is not."""
        with self._moved:
            known, since = self._nodes.out.get(name, (0, 0.0))
            return since if known == revision else clock.boottime()

    def is_off(self, name: str) -> bool:
        """Whether a node has said that it stopped, or has not had its registration for as long as a contact holds."""
        with self._moved:
            known = self._nodes.known.get(name)
            return known is not None and known.is_off(clock.boottime())

    def vouched(self, revision: int) -> bool:
        """Whether another node that is warm has confirmed that revision or a later one."""
        with self._moved:
            return self._nodes.vouched(self._own, revision)

    def listed(self, rows: list[Told]) -> None:
        """Take all rows that there are."""
        self._took(lambda now: self._nodes.replace(rows, now))

    def heard(self, rows: Iterable[Told]) -> None:
        """Take rows that were written."""

        def take(now: float) -> None:
            for row in rows:
                self._nodes.take(row, now)

        self._took(take)

    def begin(self, revision: int, read: list[Told], sent: float) -> "Future[list[str]]":
        """Wait for a change that was made; `read` are all rows, as of the transaction that was sent at that time."""
        future: Future[list[str]] = Future()
        future.set_running_or_notify_cancel()  # From now on nobody takes it away from the thread.
        with self._moved:
            now = clock.boottime()
            wait = Wait(revision, self._own, read, self._nodes, sent, now)
            self._of[revision] = future
            while len(self._of) > MAX_ENDED and next(iter(self._of.values())).done():
                self._of.popitem(last=False)
            self._waiting.append((wait, future))
            ended = self._settle(now)
            self._moved.notify_all()
        _answer(ended)
        return future

    def begun(self, revision: int) -> "Future[list[str]] | None":
        """Return the wait that began with the change of that revision; None: it is not known any more."""
        with self._moved:
            return self._of.pop(revision, None)

    def close(self) -> None:
        """Let go of whoever waits, without saying that anybody has confirmed."""
        with self._moved:
            self._closed = True
            waiting, self._waiting = self._waiting, []
            self._moved.notify_all()
        for _, future in waiting:
            future.set_exception(StoreError("this node has closed the store"))
        if self._thread.is_alive():
            self._thread.join(END_S)

    def _took(self, take: Callable[[float], None]) -> None:
        with self._moved:
            now, before = clock.boottime(), self._nodes.refused
            take(now)
            ended = self._settle(now)
            refused, path = self._nodes.refused - before, self._nodes.refused_path
        _answer(ended)
        if refused:
            what = "nobody relies on it; find out who can write the store, and restart the node that it speaks of"
            _log.event("error", "what a node seems to say is refused", path=path, rows=refused, what=what)

    def _run(self) -> None:
        while True:
            with self._moved:
                if self._closed:
                    return
                now = clock.boottime()
                ended = self._settle(now)
                missed = sorted({name for wait, _ in ended for name in wait.left})
                if not ended:
                    self._moved.wait(min((wait.ends - now for wait, _ in self._waiting), default=None))
            _answer(ended)
            if missed:
                self.missed(missed)

    def _settle(self, now: float) -> list[tuple[Wait, "Future[list[str]]"]]:
        """Take out what is over."""
        if not self._waiting:
            return []
        for wait, _ in self._waiting:
            wait.heard(self._nodes, now)
        ended = [entry for entry in self._waiting if entry[0].is_over(now)]
        if ended:
            self._waiting = [entry for entry in self._waiting if not entry[0].is_over(now)]
        return ended


def _answer(ended: list[tuple[Wait, "Future[list[str]]"]]) -> None:
    """Outside of the lock: whoever hears of it may do anything."""
    for wait, future in ended:
        future.set_result(wait.unconfirmed)


def _nobody(_names: list[str]) -> None:
    """Nobody is told."""
