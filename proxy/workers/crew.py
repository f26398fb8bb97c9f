"""The workers of a parent: started, watched, started again, and what they and the parent say to each other."""

import asyncio
import functools
import socket
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError
from hsm_daemon.exit_codes import CONFIGURATION
from hsm_daemon.release import release
from hsm_daemon.stall import StallGuard
from hsm_daemon.tasks import spawn
from proxy.config import Sources
from proxy.core.reporting.events import MAX_EVENTS
from proxy.metrics import PREFIX
from proxy.workers import messages
from proxy.workers.child import Child
from proxy.workers.journal import ParentJournal
from proxy.workers.ledger import Ledger
from proxy.workers.messages import FromWorker, Message
from proxy.workers.roster import Place, Roster, State
from proxy.workers.sums import Sums

TICK_S: Final = 0.1
LOADS_S: Final = 1.0
"""Between words to each worker of what the others do."""
STALL_S: Final = 1.0
"""Of the parent's own loop: then nothing is held against a worker that has not been heard."""
ANSWER_LIMIT_S: Final = 1.0
"""For a page of a worker."""
MAX_QUESTIONS: Final = 256
"""Pages that are waited for at a time; the admin server has fewer connections than that."""
PARENT: Final = 0
"""The parent's number among those that tell what happened."""
_log = logs.logger("proxy.workers")


class Crew:
    """All of them. It needs a running loop."""

    def __init__(self, workers: int, sources: Sources, *, succeeds: bool) -> None:
        """Start nothing yet.

        Args:
            workers: how many.
            sources: the configuration files' content.
            succeeds: a proxy serves on the same sockets, and is to be relieved.
        """
        self.roster = Roster(workers)
        self.sums = Sums(PREFIX)
        self.sources = sources
        """What workers are to run with now."""
        self.refused = 0
        """Number of a worker that would not start with this configuration, while all did not serve yet; 0: none."""
        self.leaving = False
        self._ledger = Ledger()
        self.journal = ParentJournal(functools.partial(self._remember, PARENT))
        self._first_sources = sources
        self._succeeds = succeeds
        self._was_up = False
        self._began_at = clock.monotonic()
        self._children: dict[int, Child] = {}
        self._asked: dict[int, asyncio.Future[messages.Page]] = {}
        self._questions = 0
        self._guard = StallGuard(STALL_S)
        self._timer: asyncio.TimerHandle | None = None
        self._loads_at = 0.0
        self._news = asyncio.Event()

    def start(self, listener: socket.socket) -> None:
        """Start them, and from now on all that end."""
        self._listener = listener
        self._tick()

    async def change(self, stopping: asyncio.Event) -> None:
        """Wait until a worker begins to serve or ends, or it is stopping."""
        waits = [spawn(event.wait(), "news of workers") for event in (self._news, stopping)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._news.clear()

    @property
    def is_up(self) -> bool:
        """Whether all of them serve."""
        return all(place.state is State.SERVING for place in self.roster.places)

    def came_up(self) -> None:
        """Note that all have served: a worker that is started from now on follows another one."""
        self._was_up = True

    async def stop(self, limit_s: float) -> None:
        """Have them finish what is in flight and end; those that do not within that time are killed."""
        self.leaving = True
        try:
            async with asyncio.timeout(limit_s):
                for place in self.roster.places:
                    place.leaving()
                self.tell_all(messages.Leave())
                while self._children:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            reason = "they did not end"
            logs.event(_log, "error", "workers are killed", count=len(self._children), reason=reason)
        finally:
            for child in self._children.values():
                child.kill()
            if self._timer is not None:
                self._timer.cancel()

    def reload(self, sources: Sources) -> None:
        """Have them take over that configuration, which has been checked."""
        self.sources = sources
        for place in self.roster.places:
            child = self._children.get(place.number)
            if child is not None and not child.send(messages.Reload(sources)):
                self._replace(place, "it does not listen")

    def tell_all(self, message: Message, but: Place | None = None) -> None:
        """Tell all workers something."""
        for number, child in self._children.items():
            if but is None or number != but.number:
                child.send(message)

    async def ask(self, place: Place, path: str) -> messages.Page | None:
        """Return a page of a worker; None: it does not answer in time."""
        child = self._children.get(place.number)
        if child is None or len(self._asked) >= MAX_QUESTIONS:
            return None
        self._questions += 1
        number = self._questions
        answer: asyncio.Future[messages.Page] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            if not child.send(messages.Ask(number, path)):
                return None
            async with asyncio.timeout(ANSWER_LIMIT_S):
                return await answer
        except TimeoutError:
            return None
        finally:
            del self._asked[number]

    # ---- their processes

    def _tick(self) -> None:
        # First: what fails must not end the beat.
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        now = clock.monotonic()
        stalled = self._guard.beat(now)
        for place in self.roster.places:
            if stalled:
                place.forgive(now)
            self._look_after(place, now)
        if now - self._loads_at >= LOADS_S:
            self._loads_at = now
            for number, child in self._children.items():
                child.send(messages.Loads(self.roster.loads(self.roster.places[number - 1])))

    def _look_after(self, place: Place, now: float) -> None:
        child = self._children.get(place.number)
        if child is None:
            if place.is_due(now) and not self.leaving:
                self._start(place, now)
            return
        fault = place.fault(now)
        if fault:
            place.condemned()
            self.journal.tell(
                _log, "error", "a worker is ended by force", worker=place.number, pid=place.pid, reason=fault
            )
            child.end()
        else:
            child.send(messages.Others(*self.roster.others(place)))

    def _start(self, place: Place, now: float) -> None:
        child = Child(functools.partial(self._take, place), functools.partial(self._ended, place))
        begin = messages.Begin(
            place.number, len(self.roster.places), now - self._began_at, self._succeeds or self._was_up,
            self._first_sources, self.sources, self._ledger.events.after(0, MAX_EVENTS),
        )  # fmt: skip
        try:
            child.start(begin, self._listener)
        except StartError as error:
            self._not_started(place, str(error), now)
            return
        self._children[place.number] = child
        place.started(child.pid, now)
        logs.event(_log, "info", "a worker starts", worker=place.number, pid=child.pid)

    def _not_started(self, place: Place, reason: str, now: float) -> None:
        again_s = place.ended(now)
        if not self._was_up:
            self.refused = place.number
            self._news.set()
        self.journal.tell(
            _log, "error", "a worker cannot be started", worker=place.number, reason=reason, again_in_s=again_s
        )

    def _ended(self, place: Place, code: int) -> None:
        del self._children[place.number]
        self.sums.ended(place.number)
        pid, again_s = place.pid, place.ended(clock.monotonic())
        if not self.leaving:
            if code == CONFIGURATION and not self._was_up:
                self.refused = place.number
            fields = {"worker": place.number, "pid": pid, "code": code, "again_in_s": again_s}
            self.journal.tell(_log, "error" if code else "warning", "a worker has ended", **fields)
        self._news.set()

    def _replace(self, place: Place, reason: str) -> None:
        """Have a worker end in order; another one is started in its place."""
        self.journal.tell(_log, "error", "a worker is replaced", worker=place.number, pid=place.pid, reason=reason)
        place.leaving()
        child = self._children[place.number]
        if not child.send(messages.Leave()):
            child.end()

    # ---- what they say

    def _take(self, place: Place, message: FromWorker) -> None:
        self._hear(message, place)

    @functools.singledispatchmethod
    def _hear(self, message: FromWorker, place: Place) -> None:
        raise TypeError(f"{type(message).__name__} is no message of worker {place.number}")

    @_hear.register
    def _beat(self, message: messages.Beat, place: Place) -> None:
        place.heard(message, clock.monotonic())

    @_hear.register
    def _serving(self, message: messages.Serving, place: Place) -> None:
        place.serving(clock.monotonic())
        self._news.set()
        logs.event(_log, "info", "a worker serves", worker=place.number, pid=place.pid)
        if message.version != release():
            what = "restart this proxy hot (SIGUSR2): the program on disk is another one than that of its parent"
            self.journal.tell(
                _log, "warning", "a worker has another version", worker=place.number, version=message.version, what=what
            )

    @_hear.register
    def _told(self, message: messages.Told, place: Place) -> None:
        if place.state is State.STARTING and self._was_up:
            return  # it finds out what the others have told long ago
        self._remember(place.number, message)

    @_hear.register
    def _changed(self, message: messages.Changed, place: Place) -> None:
        self.tell_all(messages.Hint(message.node), but=place)

    @_hear.register
    def _page(self, message: messages.Page, _place: Place) -> None:
        answer = self._asked.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message)

    @_hear.register
    def _doing(self, message: messages.Doing, place: Place) -> None:
        place.load = message.load

    @_hear.register
    def _reloaded(self, message: messages.Reloaded, place: Place) -> None:
        if message.fault and place.state is not State.LEAVING:
            self._replace(place, f"it could not take the configuration over: {message.fault}")

    def _remember(self, worker: int, event: messages.Told) -> None:
        if self._ledger.tell(worker, event.at, event.severity, event.what, site=event.site, node=event.node):
            self.tell_all(messages.Happened(self._ledger.newest))
