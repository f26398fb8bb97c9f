"""Who waits until the store's member at the DR site has what was written: durability `dr`, without sockets.

Theory: docs/consistency.md, (a) 7. The member is asked in a loop while somebody waits; one answer ends all waits up to
its revision. A wait that ended in vain leaves its revision behind as `owed`: until the member has shown that, nobody
waits for it any more, so that it is not a brake for every key while the DR site is away.
"""

from typing import Final, NamedTuple

DR_WAIT_S: Final = 3.0
"""For one request: as long as for nodes. A member that is well has it a round trip after the others."""
ASK_AGAIN_S: Final = 0.01
"""After an answer that ended not every wait: little beside the way to another site, and few questions."""
ASK_LOST_S: Final = 0.25
"""While a revision is owed: so soon is it noticed that the member is back."""


class Ended(NamedTuple):
    """A wait that is over."""

    ticket: int
    has: bool
    """Whether the member has what was written."""


class SiteCopy:
    """What is known of the member, and who waits."""

    def __init__(self) -> None:
        """Know nothing of it."""
        self.revision = 0
        """What it has shown last. If that falls, it has lost what it had."""
        self.owed = 0
        """The highest that was waited for in vain; 0: the member has all that was."""
        self._waiting: dict[int, tuple[int, float]] = {}
        self._tickets = 0

    def begin(self, revision: int, now: float) -> tuple[int, list[Ended]]:
        """Wait for what was written; return the ticket, and what is over at once.

        Args:
            revision: of it.
            now: when the store had it.
        """
        self._tickets += 1
        if revision <= self.revision:
            return self._tickets, [Ended(self._tickets, has=True)]
        if self.owed:  # Not raised: with changes all the time a member that is back would never have shown it.
            return self._tickets, [Ended(self._tickets, has=False)]
        self._waiting[self._tickets] = (revision, now + DR_WAIT_S)
        return self._tickets, []

    def shown(self, revision: int, now: float) -> list[Ended]:
        """Take the revision of an answer of the member."""
        self.revision = revision
        if self.owed <= self.revision:
            self.owed = 0
        there = [ticket for ticket, (wanted, _) in self._waiting.items() if wanted <= self.revision]
        for ticket in there:
            del self._waiting[ticket]
        return [Ended(ticket, has=True) for ticket in there] + self.late(now)

    def late(self, now: float) -> list[Ended]:
        """Take out whose time is over, and all others with them: what they wait for comes no sooner."""
        if not any(ends <= now for _, ends in self._waiting.values()):
            return []
        self.owed = max(self.owed, *(wanted for wanted, _ in self._waiting.values()))
        ended = [Ended(ticket, has=False) for ticket in self._waiting]
        self._waiting.clear()
        return ended

    @property
    def asks_after_s(self) -> float | None:
        """How long after an answer, or a call that failed, the member is asked again; None: nobody needs to know."""
        if self._waiting:
            return ASK_AGAIN_S
        return ASK_LOST_S if self.owed else None

    @property
    def ends(self) -> float | None:
        """When the first wait is over in vain."""
        return min((ends for _, ends in self._waiting.values()), default=None)
