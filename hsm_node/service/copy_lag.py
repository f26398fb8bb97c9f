"""How far the copy of this node's own site is behind the rest of the store: what a disaster now would cost."""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from hsm_daemon import clock
from hsm_daemon.tasks import spawn
from hsm_node.core.refusal import Refusal
from hsm_node.store.base import OwnCopy, StoreError
from hsm_node.work.pool import Pool

INTERVAL_S: Final = 5.0
"""Between two looks: two reads of one small pair."""
DEADLINE_S: Final = 60.0
"""For a look to have its turn in the pool; a page of a drill before it takes milliseconds."""

T = TypeVar("T")


class Lag(NamedTuple):
    """What one look found."""

    records: int | None
    """Changes that the copy did not have; None: nobody knows."""
    newest: int = 0
    """Revision that the store had when the look began, or a little later."""
    reason: str = ""
    """Why nobody knows."""


class CopyLag:
    """Looks now and then. `sweep` on the loop."""

    def __init__(self, copy: OwnCopy, pool: Pool) -> None:
        """Look at nothing yet.

        Args:
            copy: of the store.
            pool: whose thread waits for it.
        """
        self._copy = copy
        self._pool = pool
        self.last = Lag(None)
        self._whole_at: float | None = None
        """Begin of the last look that found nothing missing, by `clock.boottime`."""
        self._next_s = 0.0
        self._looking = False

    @property
    def seconds(self) -> float | None:
        """Return for how long something has been missing, as far as is known; 0.0: nothing is."""
        if self.last.records == 0:
            return 0.0
        return None if self._whole_at is None else clock.boottime() - self._whole_at

    def sweep(self) -> None:
        """Look, if it is time."""
        now = clock.monotonic()
        if not self._looking and now >= self._next_s:
            self._looking = True
            self._next_s = now + INTERVAL_S
            spawn(self._look_once(), "lag of the copy")

    async def look(self) -> Lag:
        """Compare the copy with the rest.

        Raises:
            Refusal: the node is stopping.
        """
        begun = clock.boottime()
        newest, reason = await self._asked(self._copy.newest, "the rest of the store does not answer")
        reached, other = (0, "") if reason else await self._asked(self._copy.revision, "this site's copy is out")
        reason = reason or other
        self.last = Lag(None, reason=reason) if reason else Lag(max(0, newest - reached), newest)
        if self.last.records == 0:
            self._whole_at = begun
        return self.last

    async def _look_once(self) -> None:
        try:
            await self.look()
        except Refusal as refusal:
            self.last = Lag(None, reason=refusal.detail)
        finally:
            self._looking = False

    async def _asked(self, ask: Callable[[], int], what: str) -> tuple[int, str]:
        try:
            return await self._pool.run(clock.monotonic() + DEADLINE_S, ask), ""
        except StoreError as error:
            return 0, f"{what} ({error})"
