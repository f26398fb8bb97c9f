"""Which job runs next: a bounded queue before a bounded number of workers."""

from collections import deque
from typing import Generic, Protocol, TypeVar

from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


class Timed(Protocol):
    """What the queue needs of a job: when its time is up, on the clock of `now`."""

    @property
    def deadline(self) -> float: ...


T = TypeVar("T", bound=Timed)


class WorkQueue(Generic[T]):
    """First come, first served; a job whose time is up is handed back, not run."""

    __slots__ = ("_waiting", "max_waiting", "running", "workers")

    def __init__(self, workers: int, max_waiting: int) -> None:
        self.workers = workers
        self.max_waiting = max_waiting
        self.running = 0
        self._waiting: deque[T] = deque()

    @property
    def waiting(self) -> int:
        """Jobs that have no worker yet."""
        return len(self._waiting)

    def offer(self, job: T) -> None:
        """Queue a job.

        Raises:
            Refusal: the queue is full.
        """
        if len(self._waiting) >= self.max_waiting:
            raise Refusal(Status.OVERLOADED, "the node's queue is full; send again after a wait", not_executed=True)
        self._waiting.append(job)

    def start(self, now: float) -> tuple[list[T], list[T]]:
        """Return the jobs to run now, and those passed over because their time is up."""
        started: list[T] = []
        expired: list[T] = []
        while self._waiting and self.running < self.workers:
            job = self._waiting.popleft()
            if job.deadline <= now:
                expired.append(job)
            else:
                self.running += 1
                started.append(job)
        return started, expired

    def following(self, now: float) -> T | None:
        """Return the job that takes the place of one that has ended; None: there is none, or its time is up."""
        if not self._waiting or self._waiting[0].deadline <= now:
            return None
        return self._waiting.popleft()

    def finish(self) -> None:
        """A running job has ended, and none has taken its place."""
        self.running -= 1

    def expire(self, now: float) -> list[T]:
        """Take out the waiting jobs whose time is up."""
        expired = [job for job in self._waiting if job.deadline <= now]
        if expired:
            self._waiting = deque(job for job in self._waiting if job.deadline > now)
        return expired

    def withdraw(self, job: T) -> bool:
        """Take a job out that has not started; False where it has."""
        try:
            self._waiting.remove(job)
        except ValueError:
            return False
        return True
