"""Who takes the next connection of the socket that all workers accept on: one that has no more than the others.

What the others have is known from a tenth of a second ago; what this worker has, exactly. So of a crowd that comes in
that time each worker takes one, finds that it has more than the others had, and leaves the next one to them.
"""

from collections.abc import Callable


class Courtesy:
    """A worker's view of its fellows. Implements `Neighbours`."""

    def __init__(self) -> None:
        self.crowd: Callable[[], int] = lambda: 0
        """Returns the connections of this worker."""
        self.has_room: Callable[[], bool] = lambda: True
        self.fewest: int | None = None
        """Connections of the other worker that has fewest; None: there is no other one that serves."""
        self.others_have_room = False

    def step_back(self) -> bool:
        """Say whether another worker should have the connection that waits."""
        return self.fewest is not None and self.crowd() > self.fewest

    def stay_out(self) -> bool:
        """Say whether another worker has room for it, and this one has none."""
        return self.others_have_room and not self.has_room()
