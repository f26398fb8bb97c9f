"""What is unknown here may have been made a moment ago through another node: the store is asked before that is said.

Theory (design.md, section 6, rule 2). Where a store is followed by a watch, a change arrives some time after it was
answered. So "not found" is no answer until the node has everything that was committed before the request came. One
question to the store is enough for all requests that wait when it is sent, and at most one is under way: whoever asks
for ids that do not exist costs the store one read at a time, however often he asks.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from hsm_daemon import clock
from hsm_daemon.tasks import spawn
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.request import Request
from hsm_node.store.base import Store, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.statuses import Status

MAX_WAITING: Final = 64
"""Requests of one partition that wait for such a look."""
LOOK_S: Final = 1.0
"""For a look to begin: it waits for a thread behind changes."""


class SecondLooks:
    """Takes requests that found nothing, and serves each once more."""

    def __init__(self, store: Store, follower: Follower, writer: Pool, failures: Failures) -> None:
        """Wait for requests.

        Args:
            store: that is asked.
            follower: takes what comes.
            writer: the store's threads.
            failures: answers what fails inside.
        """
        self._store = store
        self._follower = follower
        self._writer = writer
        self._failures = failures
        self._waiting: list[Request] = []
        self._by_partition: Counter[int] = Counter()
        self._busy = False
        self.serve: Callable[[Request], None]
        """Serves a request."""
        self.looks = 0
        """Questions to the store."""

    def refusal(self, request: Request, refusal: Refusal) -> Refusal | None:
        """Return what a request that was refused is answered; None: nothing yet, it is served once more."""
        if refusal.status is not Status.KEY_NOT_FOUND or request.looked_again or not self._store.serves_stale:
            return refusal
        if not self._follower.current:
            return _not_current()
        partition = request.principal.partition
        if self._by_partition[partition] >= MAX_WAITING:
            return Refusal(Status.OVERLOADED, "too many requests name what this node does not know", not_executed=True)
        request.looked_again = True
        self._by_partition[partition] += 1
        self._waiting.append(request)
        if not self._busy:
            self._busy = True
            spawn(self._look(), "second look")
        return None

    async def _look(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                self._by_partition.clear()
                try:
                    refusal = await self._catch_up()
                except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
                    for request in group:
                        self._failures.answer(request, error)
                    continue
                for request in group:
                    if refusal is None:
                        self.serve(request)
                    else:
                        request.refuse(refusal)
        finally:
            self._busy = False

    async def _catch_up(self) -> Refusal | None:
        self.looks += 1
        try:
            await self._writer.run(clock.monotonic() + LOOK_S, self._store.catch_up)
        except (StoreError, Refusal):
            return _not_current()
        self._follower.follow()
        return None


def _not_current() -> Refusal:
    return Refusal(Status.NOT_CURRENT, "this node cannot ask its store for what it does not know", not_executed=True)
