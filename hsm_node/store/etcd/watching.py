"""The thread that follows: everything is listed, then watched; listed again where the place to go on was compacted."""

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final

import grpc

from hsm_daemon import clock, logs
from hsm_daemon.log_limit import LimitedLog
from hsm_node.store.base import ReplacedStoreError, StoreError
from hsm_node.store.etcd.calls import TRY_S, Calls, CompactedError, fault_of_call
from hsm_node.store.etcd.channels import METADATA, Link
from hsm_node.store.etcd.faults import Meaning
from hsm_node.store.etcd.follow_state import Change
from hsm_node.store.etcd.following import Following
from hsm_node.store.etcd.messages_pb2 import Event, WatchRequest, WatchResponse
from hsm_node.store.etcd.transactions import all_told, page, told_by, told_of, watch
from hsm_node.store.etcd.waits import Waits

PAGE_ROWS: Final = 1_000
"""Of a list: half a megabyte as a rule."""
PAGE_S: Final = 5.0
"""For one page, tries over all members included."""
PAUSE_S: Final = 0.1
"""Before a watch that ended is opened again: by then another member is asked first."""
CREATED_S: Final = 1.0
"""For a member to say that it watches."""
LATE_S: Final = 0.5
"""A watch that owes a revision for longer is opened again, with another member."""
END_S: Final = 5.0
"""For the thread to end."""

_log = logs.logger("hsm_node.store")
_again = LimitedLog(_log, 1 / 10)
"""While members are away, the watch is tried again all the time."""


class Watching:
    """One watch at a time, with one member."""

    def __init__(self, calls: Calls, following: Following, waits: Waits) -> None:
        """Begin nothing yet.

        Args:
            calls: to the members.
            following: takes what comes of records.
            waits: takes what comes of other nodes.
        """
        self._waits = waits
        self.on_heard: Callable[[], None] = _nobody
        """Called after each answer was taken."""
        self.prepare: Callable[[Sequence[Change]], None] = _unprepared
        """Called with what has come, before the node may see it."""
        self.proves = True
        """Whether a list counts as contact."""
        self._calls = calls
        self._following = following
        self._list = False
        self._moves = False
        self._link: Link | None = None
        """Over which is watched; None: over none."""
        self._opened: float | None = None
        """When the watch was asked for; None: the member has said that it watches, or there is no watch."""
        self._call: grpc.Call | None = None
        self._thread = threading.Thread(target=self._run, name="etcd-watch", daemon=True)
        self.listed = 0
        """Times that everything was listed."""

    def start(self) -> None:
        """Watch from where `load` came to."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the thread's end, after all was closed."""
        self.end_watch()
        if self._thread.is_alive():
            self._thread.join(END_S)

    def load(self) -> None:
        """List everything.

        Raises:
            StoreError: the store did not answer, or is another one.
        """
        begun = clock.boottime()
        found = self._calls.range(page(b"", 0, PAGE_ROWS), PAGE_S)
        revision = found.header.revision
        changes = [Change(pair.key, pair.mod_revision, pair.value) for pair in found.kvs]
        while found.more and found.kvs:
            found = self._calls.range(page(found.kvs[-1].key, revision, PAGE_ROWS), PAGE_S)
            changes += [Change(pair.key, pair.mod_revision, pair.value) for pair in found.kvs]
        told = told_by(self._calls.range(all_told(revision), PAGE_S))
        arrived = self._following.revision
        self.prepare([change for change in changes if change.revision > arrived])
        self._following.listed(changes, revision, begun if self.proves else None)
        self._waits.listed(told)
        self.listed += 1

    def check(self) -> None:
        """End a watch that hangs; called now and then by the thread that proves contact."""
        opened, link = self._opened, self._link
        if link is None:
            return  # The thread opens one by itself.
        if (
            (opened is not None and clock.monotonic() - opened > CREATED_S)
            or self._calls.waits(link)
            or self._following.behind() > LATE_S
        ):
            self._calls.failed(link)
            self.end_watch()

    def list_again(self) -> None:
        """Compare everything with what is known, before anything else is watched."""
        self._list = True
        self.end_watch()

    def move(self) -> None:
        """Watch over other links from now on: nothing was wrong with the watch."""
        self._moves = True
        self.end_watch()

    def end_watch(self) -> None:
        """End the watch; the thread opens another one."""
        call = self._call
        if call is not None:
            call.cancel()

    def _run(self) -> None:
        while not self._calls.closing.is_set():
            link = None
            try:
                if self._list:
                    self.load()
                    self._list = False
                    logs.event(_log, "warning", "the store was listed anew", revision=self._following.revision)
                link = self._calls.order()[0]
                self._watch(link)
            except CompactedError:
                self._list = True  # What was followed is no more: what there is now is compared with it.
            except ReplacedStoreError as error:
                self._following.wrong(error)
                self._list = True
            except (StoreError, grpc.RpcError, ValueError) as error:
                self._ended(error, link)
            self._calls.closing.wait(PAUSE_S)

    def _ended(self, error: Exception, link: Link | None) -> None:
        moves, self._moves = self._moves, False
        if moves or self._calls.closing.is_set():
            return
        if isinstance(error, grpc.RpcError):
            fault = fault_of_call(error)
            self._list |= fault.meaning is Meaning.COMPACTED
            reason = fault.text
            if link is not None:
                self._calls.failed(link)
        else:
            reason = str(error)
        _again.event("warning", "the store's watch ended; it is opened again", reason=reason)

    def _watch(self, link: Link) -> None:
        self._link = link
        self._opened = clock.monotonic()
        ended = threading.Event()
        try:
            self._calls.look_at(link, TRY_S)
            request = watch(self._following.revision + 1)
            call = link.watch(_kept_open(request, ended), metadata=METADATA)
            self._call = call
            self._opened = clock.monotonic()
            for answer in call:
                self._take(answer, link)
        finally:
            ended.set()
            self._call = self._opened = None
            self._link = None

    def _take(self, answer: WatchResponse, link: Link) -> None:
        self._calls.identity.check_cluster(answer.header)
        if answer.canceled:
            if answer.compact_revision:
                raise CompactedError(answer.cancel_reason)
            raise StoreError(f"the member ended it ({answer.cancel_reason})")
        if answer.created:
            self._opened = None
            self._calls.worked(link)
        if answer.events:
            changes = [_change(event) for event in answer.events]
            told = [told_of(change.key, change.revision, change.data) for change in changes]
            self._waits.heard(row for row in told if row is not None)
            self.prepare(changes)
            self._following.watched(changes)
            self.on_heard()


def _nobody() -> None:
    """Nobody is told."""


def _unprepared(_changes: Sequence[Change]) -> None:
    """Nothing has to be prepared."""


def _kept_open(request: WatchRequest, ended: threading.Event) -> Iterator[WatchRequest]:
    """Say the request, and keep our side open: a member ends the watch with it."""
    yield request
    ended.wait()


def _change(event: Event) -> Change:
    pair = event.kv
    return Change(pair.key, pair.mod_revision, None if event.type == Event.DELETE else pair.value)
