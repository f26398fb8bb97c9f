"""Changes that wait until every node has them, and what waits until the DR site has it. No thread waits with them."""

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from typing import Final

import msgspec

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.store.base import Store, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.forms import NIL
from hsm_wire.kinds import DURABLE_DR, REQUEST_FLAGS
from hsm_wire.messages import Unconfirmed, encode_body
from hsm_wire.statuses import Status

MAX_WAITING: Final = 1_024
"""What waits for other nodes, or for the DR site, at once: for up to three seconds where one has just been lost."""
_UNSEEN: Final = "done, but it was not seen in time whether the DR site has it"


class Confirmations:
    """Used on the event loop."""

    def __init__(
        self, store: Store, writer: Pool, recovery_site: str = "", *, durable_dr: Callable[[], bool] = lambda: False
    ) -> None:
        """Let nobody wait yet.

        Args:
            store: that is asked.
            writer: its threads.
            recovery_site: where a member of the store is for which OK can wait; empty: there is none.
            durable_dr: whether OK waits for it where the request does not say.
        """
        self._store = store
        self._writer = writer
        self.recovery_site = recovery_site
        self._durable_dr = durable_dr
        self.waiting = 0
        """Requests that wait now."""
        self.confirmed = 0
        """Changes that every node had when they were answered."""
        self.unconfirmed = 0
        """Changes that were answered with the names of nodes."""
        self.copied = 0
        """Requests whose writing the DR site had when they were answered."""
        self.pending = 0
        """Requests that were answered with the name of the DR site."""

    def check_durability(self, request: Request) -> None:
        """Refuse what asks for a durability that this cluster does not have."""
        if request.flags & DURABLE_DR and not self.recovery_site:
            text = "durability dr cannot be had: no store member is at a DR site; ask without it, or set dr_endpoint"
            raise Refusal(Status.BAD_REQUEST, text, not_executed=True)

    def check_room(self) -> None:
        """Refuse a change that is still to be made, where too many wait. One that was made is never refused."""
        if self.waiting >= MAX_WAITING:
            text = "too many changes wait for other nodes or the DR site; send the request again"
            raise Refusal(Status.OVERLOADED, text, not_executed=True)

    def check_room_for_new(self, request: Request) -> None:
        """The same for what is still to be created: it waits for the DR site, or not at all."""
        if self._waits_for_site(request):
            self.check_room()

    async def answer(self, request: Request, revision: int, answer: Callable[[], bytes]) -> tuple[Status, bytes]:
        """Wait until each node has a change that was made, then answer; name those that may not (section 6, rule 3).

        A change that is sent again waits too: its first answer may have been lost while it waited.

        Args:
            request: that asks for the change.
            revision: of the row that has it.
            answer: of a change that every node has.

        Raises:
            Refusal: as `names`.
        """
        copied = self._begin_copy(request, revision)  # Nodes and DR site are waited for at the same time.
        names = await self.names(revision, request.deadline, request)
        return await self._told(request, names, copied, answer)

    async def answer_new(
        self, request: Request, revision: int, answer: Callable[[], bytes], names: Collection[str] = ()
    ) -> tuple[Status, bytes]:
        """Answer what was created; wait for the DR site where that is wanted (section 6, rule 4), and for no node.

        `names`: nodes that may not have what was changed beside it, and were waited for.

        Raises:
            Refusal: the time is over, or nobody says whether the DR site has it. What was created stays.
        """
        return await self._told(request, list(names), self._begin_copy(request, revision), answer)

    async def names(self, revision: int, deadline: float, asker: Request | None = None) -> list[str]:
        """Return the nodes that may not have a change that was made; wait for the others.

        Raises:
            Refusal: the time is over, or the store does not say who has it. The change itself stays.
        """
        self.waiting += 1
        try:
            wait = partial(self._store.unconfirmed, revision)
            future = await self._writer.run(deadline, wait, asker=asker)
            async with asyncio.timeout(deadline - clock.monotonic()):
                names = await asyncio.wrap_future(future)
        except Refusal as refusal:
            raise _unknown(refusal.status) from None
        except TimeoutError:
            raise _unknown(Status.TIMEOUT) from None
        except StoreError:
            raise _unknown(Status.STORE_UNAVAILABLE) from None
        finally:
            self.waiting -= 1
        if names:
            self.unconfirmed += 1
        else:
            self.confirmed += 1
        return names

    def _waits_for_site(self, request: Request) -> bool:
        said = request.flags & REQUEST_FLAGS
        return bool(self.recovery_site) and (said == DURABLE_DR if said else self._durable_dr())

    def _begin_copy(self, request: Request, revision: int) -> "Future[bool] | None":
        """Return what will be whether the DR site has what was written; None: nobody waits for that."""
        if not self._waits_for_site(request):
            return None
        try:
            return self._store.copied(revision)
        except StoreError:
            raise _unknown(Status.STORE_UNAVAILABLE, _UNSEEN) from None

    async def _told(
        self, request: Request, names: list[str], copied: "Future[bool] | None", answer: Callable[[], bytes]
    ) -> tuple[Status, bytes]:
        there = copied is None or await self._seen(copied, request.deadline)
        if there and not names:
            return Status.OK, answer()
        missing = names if there else [*names, self.recovery_site]
        status = Status.OK_UNCONFIRMED if names else Status.OK_DR_PENDING
        return status, encode_body(Unconfirmed(missing, _result(answer)))

    async def _seen(self, copied: "Future[bool]", deadline: float) -> bool:
        """Return whether the DR site has it, when that is known."""
        self.waiting += 1
        try:
            async with asyncio.timeout(deadline - clock.monotonic()):
                there = await asyncio.wrap_future(copied)
        except TimeoutError:
            raise _unknown(Status.TIMEOUT, _UNSEEN) from None
        except StoreError:
            raise _unknown(Status.STORE_UNAVAILABLE, _UNSEEN) from None
        finally:
            self.waiting -= 1
        if there:
            self.copied += 1
        else:
            self.pending += 1
        return there


def _unknown(status: Status, text: str = "changed, but it was not seen in time whether all nodes know") -> Refusal:
    """Return the answer of what has been done: never say that it was not."""
    return Refusal(status, text)


def _result(answer: Callable[[], bytes]) -> msgspec.Raw:
    """Return what OK would have said; nothing where it is no more: who asks for it hears that."""
    try:
        return msgspec.Raw(answer())
    except Refusal:
        return NIL
