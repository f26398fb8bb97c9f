"""Which workers run, which are to be started, and which are stuck. Pure: time is an argument, processes are others'.

A place: absent -> starting -> serving -> absent, or leaving on the way. One that ends is started again at once, then
after a pause that doubles; what has served for long enough begins anew.
"""

from enum import Enum
from typing import Final

from proxy.workers.loads import Load
from proxy.workers.messages import Beat

FIRST_PAUSE_S: Final = 0.5
MAX_PAUSE_S: Final = 30.0
"""Whoever mends what ends workers need not wait longer than this for them."""
WELL_S: Final = 60.0
"""Of service; then earlier ends no longer count."""
START_LIMIT_S: Final = 30.0
"""From start to service: as long as a successor in a hot restart has."""
SILENCE_LIMIT_S: Final = 3.0
"""Without a word, of which there are ten a second: a loop that stands still. As WatchdogSec of the unit."""


class State(Enum):
    """Of a place."""

    ABSENT = "absent"
    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    CONDEMNED = "condemned"


class Place:
    """What the parent knows of one worker."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.state = State.ABSENT
        self.pid = 0
        self.restarts = 0
        """Times that it was started after the first one."""
        self.beat = Beat(0, has_room=False, unready="it starts", rotation=0)
        """Its last word."""
        self.load: Load | None = None
        self.started_at = float("-inf")
        self._heard_at = float("-inf")
        self._served_since: float | None = None
        self._ends = 0
        """Ends in a row, without long service between them."""
        self._due_at = float("-inf")

    @property
    def serves(self) -> bool:
        """Whether clients can come to it."""
        return self.state is State.SERVING and not self.beat.unready

    def is_due(self, now: float) -> bool:
        """Say whether it is to be started now."""
        return self.state is State.ABSENT and now >= self._due_at

    def started(self, pid: int, now: float) -> None:
        """Note that there is a process."""
        if self.started_at != float("-inf"):
            self.restarts += 1
        self.state, self.pid = State.STARTING, pid
        self.started_at = self._heard_at = now
        self.beat = Beat(0, has_room=False, unready="it starts", rotation=0)

    def serving(self, now: float) -> None:
        """Note that it takes clients."""
        if self.state is State.STARTING:
            self.state = State.SERVING
            self._served_since = now

    def heard(self, beat: Beat, now: float) -> None:
        """Take a sign of life."""
        self.beat = beat
        self._heard_at = now

    def forgive(self, now: float) -> None:
        """The parent itself stood still: what it has not heard may have been said."""
        self._heard_at = max(self._heard_at, now)

    def leaving(self) -> None:
        """Note that it was told to leave."""
        if self.state in (State.STARTING, State.SERVING):
            self.state = State.LEAVING

    def condemned(self) -> None:
        """Note that it is being ended by force: nothing more is asked of it."""
        self.state = State.CONDEMNED

    def ended(self, now: float) -> float:
        """Note the end of the process; return after how many seconds it is to be started again."""
        well = self._served_since is not None and now - self._served_since >= WELL_S
        self._ends = 1 if well else self._ends + 1
        pause_s = 0.0 if self._ends == 1 else min(MAX_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._ends - 2, 16))
        self.state, self.pid, self.load, self._served_since = State.ABSENT, 0, None, None
        self.beat = Beat(0, has_room=False, unready="it has ended", rotation=0)
        self._due_at = now + pause_s
        return pause_s

    def fault(self, now: float) -> str:
        """Return why the process is to be ended by force; empty while it is in order."""
        if self.state in (State.ABSENT, State.CONDEMNED):
            return ""
        if now - self._heard_at > (SILENCE_LIMIT_S if self._has_spoken else START_LIMIT_S):
            return "it stands still"
        if self.state is State.STARTING and now - self.started_at > START_LIMIT_S:
            return f"it does not serve within {START_LIMIT_S:g} s"
        return ""

    @property
    def _has_spoken(self) -> bool:
        """Whether its loop runs: loading the program may take longer than a loop may stand still."""
        return self._heard_at > self.started_at


class Roster:
    """All places."""

    def __init__(self, workers: int) -> None:
        self.places = [Place(number) for number in range(1, workers + 1)]

    @property
    def serving(self) -> list[Place]:
        """Those that clients can come to."""
        return [place for place in self.places if place.serves]

    @property
    def unready(self) -> str:
        """Why no client should be sent to this proxy; empty while a worker serves."""
        if self.serving:
            return ""
        told = [place.beat.unready for place in self.places if place.state is State.SERVING]
        return told[0] if told else "no worker serves; the log says why"

    def others(self, than: Place) -> tuple[int | None, bool]:
        """Return the connections of that one of the others that serves with fewest, and whether one has room."""
        beats = [place.beat for place in self.places if place is not than and place.state is State.SERVING]
        return min((beat.clients for beat in beats), default=None), any(beat.has_room for beat in beats)

    def loads(self, but: Place) -> list[Load]:
        """Return what the others do."""
        return [place.load for place in self.places if place is not but and place.load is not None]
