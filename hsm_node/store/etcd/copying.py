"""The thread that asks the member at the DR site how far it is, while somebody waits for that: durability `dr`.

Theory: docs/consistency.md, (a) 7. Only what this member has applied itself counts, so it is asked by serializable
reads, and nobody in its place. Whether it has a leader does not matter: what it has, it has.
"""

import threading
from concurrent.futures import Future
from typing import Final

import grpc

from hsm_cluster.address import Address
from hsm_daemon import clock, logs
from hsm_node.core.site_copy import Ended, SiteCopy
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.etcd.calls import TRY_S, Calls
from hsm_node.store.etcd.messages_pb2 import RangeRequest
from hsm_node.store.etcd.transactions import CHECK_KEY
from hsm_node.store.etcd.watching import END_S

MIN_ASK_S: Final = 0.01
"""For a question that is asked when the first wait is nearly over."""

_REQUEST: Final = RangeRequest(key=CHECK_KEY, serializable=True)
_log = logs.logger("hsm_node.store")


class Copying:
    """Begins with `start`, ends with `close`. From any thread."""

    def __init__(self, calls: Calls, member: Address | None) -> None:
        """Ask nobody yet.

        Args:
            calls: to all members.
            member: the one at the DR site; None: there is none, and nobody may wait for it.
        """
        self._calls = calls
        self._member = member
        self._moved = threading.Condition()
        self._copy = SiteCopy()
        self._futures: dict[int, Future[bool]] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="etcd-copy", daemon=True)

    def start(self) -> None:
        """Ask from now on."""
        if self._member is not None:
            self._thread.start()

    def begin(self, revision: int) -> "Future[bool]":
        """Return what will be whether the member has that revision, which the store has.

        Raises:
            StoreError: there is no such member.
        """
        future: Future[bool] = Future()
        future.set_running_or_notify_cancel()  # From now on nobody takes it away from the thread.
        with self._moved:
            if self._closed or self._member is None:
                raise StoreError("this node has closed the store, or was told of no member at the DR site")
            ticket, ended = self._copy.begin(revision, clock.boottime())
            self._futures[ticket] = future
            answers = self._taken(ended)
            self._moved.notify_all()
        _answer(answers)
        return future

    def close(self) -> None:
        """Let go of whoever waits, without saying that the member has anything. The calls are closed before."""
        with self._moved:
            self._closed = True
            waiting, self._futures = self._futures, {}
            self._moved.notify_all()
        for future in waiting.values():
            future.set_exception(StoreError("this node has closed the store"))
        if self._thread.is_alive():
            self._thread.join(END_S)

    def _run(self) -> None:
        while True:
            with self._moved:
                self._moved.wait_for(lambda: self._closed or self._copy.asks_after_s is not None)
                if self._closed:
                    return
                within_s = min(TRY_S, (self._copy.ends or float("inf")) - clock.boottime())
            shown = self._ask(max(within_s, MIN_ASK_S))
            with self._moved:
                now, before = clock.boottime(), self._copy.owed
                ended = self._copy.late(now) if shown is None else self._copy.shown(shown, now)
                answers = self._taken(ended)
                owed, pause = self._copy.owed, self._copy.asks_after_s
            _answer(answers)
            self._note(bool(before), bool(owed))
            if pause is not None:
                self._calls.closing.wait(pause)

    def _ask(self, within_s: float) -> int | None:
        """Return the revision up to which the member has everything; None: it does not say."""
        try:
            answer = self._calls.link_to(self._member).range(_REQUEST, timeout=within_s)
            self._calls.identity.check_cluster(answer.header)  # Another cluster's revisions say nothing.
        except (grpc.RpcError, ReplacedStoreError, ValueError):
            # `survey` names what is wrong with a member. The last one is gRPC's way to say that the channel is closed.
            return None
        revision: int = answer.header.revision
        return revision

    def _taken(self, ended: list[Ended]) -> "list[tuple[Future[bool], bool]]":
        return [(self._futures.pop(ticket), has) for ticket, has in ended if ticket in self._futures]

    def _note(self, owed_before: bool, owed: bool) -> None:
        if owed and not owed_before:
            what = "until it has, requests with durability dr are answered OK_DR_PENDING at once; look at the DR site"
            text = "the store's member at the DR site does not have what was written"
            logs.event(_log, "warning", text, member=str(self._member), what=what)
        elif owed_before and not owed:
            text = "the store's member at the DR site has everything that was waited for"
            logs.event(_log, "info", text, member=str(self._member))


def _answer(answers: "list[tuple[Future[bool], bool]]") -> None:
    """Outside of the lock: whoever hears of it may do anything."""
    for future, has in answers:
        future.set_result(has)
