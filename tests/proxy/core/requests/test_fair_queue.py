"""Clients take turns, and the queue is bounded in requests and bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire.frames import Frame
from hsm_wire.messages import Bind
from proxy.core.parties import Client, Request
from proxy.core.principals import Bound
from proxy.core.requests.fair_queue import FairQueue
from proxy.core.settings import Limits, Settings


def queue_of(requests, size):
    return FairQueue(Settings(Limits(queue_requests=requests, queue_bytes=size)))


def client(partition=1):
    bind = Bind(1, "spiffe://t/client/c", partition, ["use"], b"", 0)
    return Client(lambda raw: None, Bound(bind))


def request(owner, number, size=10):
    return Request(owner, Frame(3, 0, number, 0, 0, 0, 0, 0, bytes(size)), 0.0, 0.0)


def test_clients_take_turns():
    queue = queue_of(100, 1000)
    many, few = client(), client()
    for number in range(3):
        assert queue.put(request(many, number)) == []
    for number in (10, 11):
        assert queue.put(request(few, number)) == []
    assert [queue.take().client_id for _ in range(5)] == [0, 10, 1, 11, 2]
    assert (queue.size, queue.bytes) == (0, 0)
    with pytest.raises(KeyError):
        queue.take()


def test_partitions_take_turns_however_many_clients_one_has():
    queue = queue_of(100, 1000)
    for number in range(4):
        queue.put(request(client(1), number))
    lonely = client(2)
    for number in (10, 11):
        queue.put(request(lonely, number))
    assert [queue.take().client_id for _ in range(6)] == [0, 10, 1, 11, 2, 3]


def test_a_newcomer_waits_for_turns_and_not_for_the_whole_queue():
    queue = queue_of(1000, 100_000)
    greedy, modest = client(1), client(1)
    for number in range(50):
        queue.put(request(greedy, number))
    assert queue.ahead(request(client(2), 1)) == 1
    assert queue.ahead(request(modest, 1)) == 1
    assert queue.ahead(request(greedy, 99)) == 50
    queue.put(request(modest, 1))
    queue.put(request(client(2), 1))
    assert queue.ahead(request(modest, 2)) == 2 * 2 * 2


def test_the_queue_is_bounded_in_requests_and_in_bytes():
    queue = queue_of(2, 25)
    owner = client()
    assert queue.put(request(owner, 1)) == []
    large = request(owner, 2, size=16)
    assert queue.put(large) == [large]
    assert queue.put(request(owner, 3)) == []
    one_more = request(owner, 4, size=1)
    assert queue.put(one_more) == [one_more]
    assert (queue.size, queue.bytes) == (2, 20)


def test_a_full_queue_takes_a_newcomer_for_the_newest_of_the_client_that_has_most():
    queue = queue_of(4, 1000)
    greedy, modest = client(1), client(1)
    held = [request(greedy, number) for number in range(4)]
    for entry in held:
        queue.put(entry)
    assert queue.put(request(modest, 10)) == [held[3]]
    assert queue.put(request(modest, 11)) == [held[2]]
    third = request(modest, 12)
    assert queue.put(third) == [third], "they have the same by now"
    assert queue.size == 4


def test_a_full_queue_takes_a_newcomer_of_another_partition_whoever_fills_it():
    queue = queue_of(40, 10_000)
    for _ in range(40):
        queue.put(request(client(1), 1))
    newcomer = request(client(2), 1)
    (loser,) = queue.put(newcomer)
    assert loser.client.principal.partition == 1
    assert newcomer in list(queue)
    mine = request(client(1), 2)
    assert queue.put(mine) == [mine], "the partition that has most makes no other one smaller"


def test_bytes_are_shared_like_places():
    queue = queue_of(1000, 1000)
    greedy = client(1)
    held = [request(greedy, number, size=300) for number in range(3)]
    for entry in held:
        queue.put(entry)
    small = request(client(2), 1, size=150)
    assert queue.put(small) == [held[2]]
    assert queue.bytes == 750
    assert queue.put(request(client(2), 2, size=400)) == [held[1]]
    whole = request(client(3), 1, size=1001)
    assert queue.put(whole)[-1] is whole
    assert whole not in list(queue)


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.integers(0, 2), st.integers(1, 400), st.booleans()), min_size=1, max_size=80
    )
)
def test_counts_are_those_of_what_is_there_and_nobody_is_lost(steps):
    queue = queue_of(8, 1000)
    owners = {(partition, number): client(partition) for partition in (1, 2, 3) for number in range(3)}
    there = set()
    for index, (partition, number, size, take) in enumerate(steps):
        if take and there:
            there.remove(queue.take())
        else:
            entry = request(owners[partition, number], index, size=size)
            there.add(entry)
            for loser in queue.put(entry):
                there.remove(loser)
        assert set(queue) == there
        assert queue.size == len(there) <= 8
        assert queue.bytes == sum(len(entry.frame.raw) for entry in there) <= 1000


def test_a_request_can_be_taken_out_of_the_middle():
    queue = queue_of(10, 1000)
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
