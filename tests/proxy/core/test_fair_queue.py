"""Clients take turns, and the queue is bounded in requests and bytes."""

import pytest

from hsm_wire.frames import Frame
from proxy.core.fair_queue import FairQueue
from proxy.core.parties import Client, Request


def client():
    return Client(lambda raw: None, None)


def request(owner, number, size=10):
    return Request(owner, Frame(3, 0, number, 0, 0, 0, 0, 0, bytes(size)), 0.0, 0.0)


def test_clients_take_turns():
    queue = FairQueue(100, 1000)
    many, few = client(), client()
    for number in range(3):
        assert queue.put(request(many, number))
    for number in (10, 11):
        assert queue.put(request(few, number))
    assert [queue.take().client_id for _ in range(5)] == [0, 10, 1, 11, 2]
    assert (queue.size, queue.bytes) == (0, 0)
    with pytest.raises(KeyError):
        queue.take()


def test_the_queue_is_bounded_in_requests_and_in_bytes():
    queue = FairQueue(2, 25)
    owner = client()
    assert queue.put(request(owner, 1))
    assert not queue.put(request(owner, 2, size=16))
    assert queue.put(request(owner, 3))
    assert not queue.put(request(owner, 4, size=1))


def test_a_request_can_be_taken_out_of_the_middle():
    queue = FairQueue(10, 1000)
    owner = client()
    entries = [request(owner, number) for number in range(3)]
    for entry in entries:
        queue.put(entry)
    assert queue.remove(entries[1])
    assert not queue.remove(entries[1])
    assert not queue.remove(request(client(), 9))
    assert list(queue) == [entries[0], entries[2]]
    queue.remove(entries[0])
    queue.remove(entries[2])
    assert (list(queue), queue.size, queue.bytes) == ([], 0, 0)
