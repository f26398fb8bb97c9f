"""The etcd that a store is moved to: whose it is, and all that is written to it.

Everything is written under the condition that the mark of this run still stands, so what is sent twice does no harm,
and nothing is written once somebody else has taken over.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Final

from hsm_cluster.address import Address
from hsm_daemon.tls import TlsFiles
from hsm_node.store.base import Row
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.connecting import Connecting
from hsm_node.store.etcd.messages_pb2 import Compare, PutRequest, RangeRequest, RequestOp, TxnRequest
from hsm_node.store.etcd.transactions import CHECK_KEY, EVERYTHING, get, key_of, only, page, row_of
from hsm_node.store.migration.errors import MigrationError

CALL_S: Final = 10.0
"""For one call over all members: an election takes two to three seconds."""
PAGE_ROWS: Final = 200
"""Of a list: at most 13 MB, should all be objects of full size."""
RAISERS: Final = 16
"""Writings under way at once while the revision is raised: each raises it by one."""
MAX_RAISE: Final = 2_000_000
"""Revisions that are used up: half an hour, and a fifth of etcd's quota (2 GB) until it compacts them away."""
TELL_S: Final = 5.0
"""Between two lines about progress."""


class Target:
    """An etcd cluster."""

    def __init__(self, addresses: Sequence[Address], tls: TlsFiles | None) -> None:
        """Connect to nobody yet.

        Args:
            addresses: of the members' ports for clients, the preferred first.
            tls: files for mutual TLS; None: without.

        Raises:
            StartError: a file cannot be read.
        """
        self.place = f"etcd at {', '.join(map(str, addresses))}"
        self._calls = Calls(Connecting(addresses, tls).links())
        self._mark = b""

    def check(self) -> bytes | None:
        """Return what stands in the place of the check record; None: nothing."""
        found = only(self._calls.range(get(CHECK_KEY), CALL_S))
        return None if found is None else found.value

    def is_empty(self) -> bool:
        """Whether there is no key at all."""
        return not self._calls.range(RangeRequest(key=EVERYTHING, range_end=EVERYTHING, limit=1), CALL_S).kvs

    def begin(self, mark: bytes, found: bytes | None) -> None:
        """Put this run's mark in the place of what was found there.

        Raises:
            MigrationError: something else is there by now.
        """
        self._replace(mark, found)
        self._mark = mark

    def finish(self, value: bytes) -> None:
        """Put the check record in the place of the mark: from now on it is a store."""
        self._replace(value, self._mark)

    def rows(self) -> Iterator[Row]:
        """Return all rows, as of one revision, in the order of names."""
        found = self._calls.range(page(b"", 0, PAGE_ROWS), CALL_S)
        revision = found.header.revision
        yield from map(row_of, found.kvs)
        while found.more and found.kvs:
            found = self._calls.range(page(found.kvs[-1].key, revision, PAGE_ROWS), CALL_S)
            yield from map(row_of, found.kvs)

    def write(self, rows: Sequence[Row]) -> None:
        """Put rows, all at one revision; what was under their names is replaced."""
        puts = [RequestOp(put=PutRequest(key=key_of(row.name), value=row.data)) for row in rows]
        if not self._calls.txn(TxnRequest(compare=[_has(self._mark)], success=puts), CALL_S).succeeded:
            raise self._taken_over()

    def check_reach(self, revision: int) -> None:
        """Look whether etcd's revision can be raised to that one.

        Raises:
            MigrationError: it is too far away.
        """
        self.check()  # Says where it is.
        first = self._calls.identity.highest
        if revision - first > MAX_RAISE:
            raise MigrationError(
                f"{self.place}: its revision is {first}, far below {revision}, the store's; make this etcd anew from a "
                f"snapshot of itself with `etcdutl snapshot restore --bump-revision {revision} --mark-compacted`, then "
                "run this again"
            )

    def raise_to(self, revision: int, tell: Callable[[str], None]) -> None:
        """Bring etcd's revision to that one or above it."""
        again = TxnRequest(
            compare=[_has(self._mark)], success=[RequestOp(put=PutRequest(key=CHECK_KEY, value=self._mark))]
        )
        stopped = threading.Event()

        def work() -> None:
            while self._calls.identity.highest < revision and not stopped.is_set():
                if not self._calls.txn(again, CALL_S).succeeded:
                    raise self._taken_over()

        with ThreadPoolExecutor(RAISERS) as threads:
            try:
                self._watch([threads.submit(work) for _ in range(RAISERS)], revision, tell)
            finally:
                stopped.set()

    def close(self) -> None:
        """End all calls."""
        self._calls.close()

    def _watch(self, works: list[Future[None]], revision: int, tell: Callable[[str], None]) -> None:
        """Wait for threads, tell how far they are, and pass on what went wrong in one."""
        while True:
            done, waiting = wait(works, TELL_S, FIRST_EXCEPTION)
            for work in done:
                work.result()
            if not waiting:
                return
            tell(f"the revision is raised: {self._calls.identity.highest} of {revision}")

    def _replace(self, value: bytes, found: bytes | None) -> None:
        answer = self._calls.txn(
            TxnRequest(
                compare=[_has(found) if found is not None else _absent()],
                success=[RequestOp(put=PutRequest(key=CHECK_KEY, value=value))],
            ),
            CALL_S,
        )
        if not answer.succeeded and self.check() != value:  # A lost answer is no refusal.
            raise self._taken_over()

    def _taken_over(self) -> MigrationError:
        return MigrationError(
            f"{self.place}: another migration, or a node, has written to it meanwhile; look who, then run this again"
        )


def _has(value: bytes) -> Compare:
    return Compare(result=Compare.EQUAL, target=Compare.VALUE, key=CHECK_KEY, value=value)


def _absent() -> Compare:
    return Compare(result=Compare.EQUAL, target=Compare.MOD, key=CHECK_KEY, mod_revision=0)
