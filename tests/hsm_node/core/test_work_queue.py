import pytest

from hsm_node.core.refusal import Refusal
from hsm_node.core.work_queue import WorkQueue


class Job:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline


def test_jobs_start_in_order_up_to_the_number_of_workers() -> None:
    queue: WorkQueue[Job] = WorkQueue(1, 10)
    first, second = Job(9), Job(9)
    queue.offer(first)
    queue.offer(second)
    assert queue.start(0) == ([first], [])
    assert queue.start(0) == ([], [])
    queue.finish()
    assert queue.start(0) == ([second], [])
    assert (queue.running, queue.waiting) == (1, 0)


def test_a_job_whose_time_is_up_is_handed_back_not_run() -> None:
    queue: WorkQueue[Job] = WorkQueue(1, 10)
    late, good = Job(1), Job(9)
    queue.offer(late)
    queue.offer(good)
    assert queue.start(1) == ([good], [late])


def test_a_job_takes_the_place_of_one_that_has_ended_unless_its_time_is_up() -> None:
    queue: WorkQueue[Job] = WorkQueue(1, 10)
    first, second, late = Job(9), Job(9), Job(1)
    for job in (first, second, late):
        queue.offer(job)
    assert queue.start(0) == ([first], [])
    assert queue.following(5) is second
    assert (queue.running, queue.waiting) == (1, 1)
    assert queue.following(5) is None
    assert queue.waiting == 1
    queue.finish()
    assert queue.start(5) == ([], [late])


def test_waiting_jobs_expire_and_withdraw() -> None:
    queue: WorkQueue[Job] = WorkQueue(0, 10)
    late, good = Job(1), Job(9)
    queue.offer(late)
    queue.offer(good)
    assert queue.expire(0) == []
    assert queue.expire(5) == [late]
    assert queue.withdraw(good)
    assert not queue.withdraw(good)


def test_a_full_queue_refuses() -> None:
    queue: WorkQueue[Job] = WorkQueue(0, 1)
    queue.offer(Job(1))
    with pytest.raises(Refusal) as refused:
        queue.offer(Job(1))
    assert refused.value.not_executed
