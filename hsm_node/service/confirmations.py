"""Changes that wait until every node has them: how many, and how they ended. No thread waits with them."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from hsm_daemon import clock
from hsm_node.core.refusal import Refusal
from hsm_node.service.request import Request
from hsm_node.store.base import Store, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.messages import Unconfirmed, encode_body
from hsm_wire.statuses import Status

MAX_WAITING: Final = 1_024
"""Changes that wait for other nodes at once: each for up to three seconds where a node has just been lost."""


class Confirmations:
    """Used on the event loop."""

    def __init__(self, store: Store, writer: Pool) -> None:
        self._store = store
        self._writer = writer
        self.waiting = 0
        """Changes that wait now."""
        self.confirmed = 0
        """Changes that every node had when they were answered."""
        self.unconfirmed = 0
        """Changes that were answered with the names of nodes."""

    def check_room(self) -> None:
        """Refuse a change that is still to be made, where too many wait. One that was made is never refused."""
        if self.waiting >= MAX_WAITING:
            text = "too many changes wait for other nodes; send the request again"
            raise Refusal(Status.OVERLOADED, text, not_executed=True)

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
        names = await self.names(revision, request.deadline, request)
        if names:
            return Status.OK_UNCONFIRMED, encode_body(Unconfirmed(names))
        return Status.OK, answer()

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


def _unknown(status: Status) -> Refusal:
    """Return the answer of a change that has been made: never say that it was not."""
    return Refusal(status, "changed, but it was not seen in time whether all nodes know")
