"""Which member is asked next: the configured order, but for those that have just failed.

Theory. The order of the file is the order of preference (the site's own member first). A member that failed waits, each
time twice as long, and is asked before its time only when every other one waits too: then there is nothing to lose.
"""

from collections.abc import Sequence
from typing import Final

from hsm_cluster.address import Address

FIRST_WAIT_S: Final = 0.25
"""After a first failure: about as long as the other members take to be asked."""
LONGEST_WAIT_S: Final = 4.0
"""So a member that is back is noticed within a few seconds."""


class Members:
    """The members and how they did. Called by several threads; each call reads or writes one entry."""

    def __init__(self, addresses: Sequence[Address]) -> None:
        """Begin with all of them in good standing.

        Args:
            addresses: of the members, the preferred first.
        """
        self.addresses = tuple(addresses)
        self._waits = [0.0] * len(self.addresses)
        self._until = [0.0] * len(self.addresses)

    def adopt(self, others: "Members") -> None:
        """Take over how the same members did under another configuration."""
        known = {str(address): number for number, address in enumerate(others.addresses)}
        for number, address in enumerate(self.addresses):
            if (before := known.get(str(address))) is not None:
                self._waits[number], self._until[number] = others._waits[before], others._until[before]

    def order(self, now: float) -> list[int]:
        """Return the numbers of all members in the order in which they are to be asked."""

        def rank(number: int) -> tuple[float, int]:
            return (max(self._until[number] - now, 0.0), number)

        return sorted(range(len(self.addresses)), key=rank)

    def worked(self, number: int) -> None:
        """Note that a member answered."""
        if self._waits[number]:
            self._waits[number] = self._until[number] = 0.0

    def failed(self, number: int, now: float) -> None:
        """Note that a member did not answer, or not as it should."""
        if now < self._until[number]:
            return  # Several calls fail at once: that is one failure.
        self._waits[number] = min(max(2 * self._waits[number], FIRST_WAIT_S), LONGEST_WAIT_S)
        self._until[number] = now + self._waits[number]

    def waits(self, number: int, now: float) -> bool:
        """Whether a member failed and its time has not come."""
        return self._until[number] > now
