"""Requests that kill nodes: who is a suspect, who is guilty, what is refused after that."""

import pytest

from hsm_wire import kinds
from hsm_wire.frames import encode_frame
from hsm_wire.messages import Bind, DescribeKey, Random, encode_body
from hsm_wire.statuses import Status
from proxy.core.parties import Request
from proxy.core.principals import Bound
from proxy.core.requests.poison import MAX_BANS, Poison
from proxy.core.settings import Settings

DESCRIBE, SIGN, GENERATE, RANDOM = 0x0103, 0x0201, 0x0101, 0x0002


def who(partition=1, identity="spiffe://c/client/app"):
    return Bound(Bind(1, identity, partition, ["use"], b"", 0))


@pytest.fixture
def court(world):
    """A judge, and a maker of requests in that client's name."""
    client, peer = world.client()
    split = type(peer)()

    def make(opcode=SIGN, body=b"\x90", partition=1, tried=()):
        client.principal = who(partition)
        split.sink(encode_frame(kinds.REQUEST, body, request_id=1, opcode=opcode))
        request = Request(client, split.frames[-1], 100.0, 110.0)
        request.tried = tuple(tried)
        return request

    return Poison(Settings()), make, world.nodes


def test_who_was_alone_with_two_dying_nodes_is_guilty(court):
    poison, make, nodes = court
    request = make(tried=nodes[:2])
    poison.node_lost(nodes[0], 99.9)
    poison.node_lost(nodes[1], 100.0)
    assert poison.guilty(request, 100.25, served=True)


def test_another_node_lost_in_the_same_moment_acquits(court):
    poison, make, nodes = court
    poison.node_lost(nodes[1], 100.0)
    poison.node_lost(nodes[2], 100.1)
    assert not poison.guilty(make(tried=nodes[:2]), 100.25, served=True)


@pytest.mark.parametrize(("lost_at", "guilty"), [(99.7, True), (99.8, False), (100.25, False)])
def test_the_same_moment_is_half_a_second(court, lost_at, guilty):
    poison, make, nodes = court
    poison.node_lost(nodes[2], lost_at)
    assert poison.guilty(make(tried=nodes[:2]), 100.25, served=True) is guilty


def test_an_empty_rotation_acquits(court):
    poison, make, nodes = court
    assert not poison.guilty(make(tried=nodes[:2]), 100.25, served=False)


def test_its_like_is_refused_for_a_minute_and_then_not(court):
    poison, make, _ = court
    request = make()
    poison.ban(request, 100.0)
    assert poison.banned(who(1), request.frame, 159.9)
    assert not poison.banned(who(1), request.frame, 160.0)
    assert not poison.bans, "what is over is forgotten"


def test_other_partitions_operations_and_keys_are_not_refused(court):
    poison, make, _ = court
    of_a, of_b = (encode_body(DescribeKey(bytes([key]) * 16)) for key in (1, 2))
    poison.ban(make(DESCRIBE, of_a), 100.0)
    assert poison.banned(who(1), make(DESCRIBE, of_a).frame, 101.0)
    assert not poison.banned(who(1), make(DESCRIBE, of_b).frame, 101.0)
    assert not poison.banned(who(2), make(DESCRIBE, of_a).frame, 101.0)
    assert not poison.banned(who(1), make(SIGN, of_a).frame, 101.0)


def test_what_has_no_key_is_refused_to_its_own_caller_only(court):
    poison, make, _ = court
    frame = make(RANDOM, encode_body(Random(16))).frame
    poison.ban(make(RANDOM, encode_body(Random(16))), 100.0)
    assert poison.banned(who(), frame, 101.0)
    assert not poison.banned(who(identity="spiffe://c/client/other"), frame, 101.0), "a whole partition without RANDOM"


def test_with_a_key_it_is_refused_to_the_whole_partition(court):
    poison, make, _ = court
    of_a = encode_body(DescribeKey(bytes(16)))
    poison.ban(make(DESCRIBE, of_a), 100.0)
    assert poison.banned(who(identity="spiffe://c/client/other"), make(DESCRIBE, of_a).frame, 101.0)


@pytest.mark.parametrize(("opcode", "body"), [(DESCRIBE, b"\xc1"), (0x7777, b"\x90")])
def test_a_body_that_nobody_can_read_is_judged_without_a_key(court, opcode, body):
    poison, make, _ = court
    poison.ban(make(opcode, body), 100.0)
    assert poison.banned(who(1), make(opcode, body).frame, 101.0)


def test_what_is_remembered_is_bounded_and_the_oldest_goes(court):
    poison, make, _ = court
    for partition in range(MAX_BANS + 1):
        poison.ban(make(partition=partition), 100.0)
    frame = make().frame
    assert len(poison.bans) == MAX_BANS
    assert not poison.banned(who(0), frame, 101.0)
    assert poison.banned(who(1), frame, 101.0)


@pytest.mark.parametrize(("waiting", "at_once"), [(0, 1), (1, 1), (127, 1), (128, 2), (640, 10)])
def test_a_node_gets_one_suspect_at_a_time_and_more_where_there_are_hundreds(waiting, at_once):
    assert Poison.suspects_at_once(waiting) == at_once


def test_a_poisonous_request_costs_two_nodes_and_no_third(world):
    client, peer = world.client()
    world.ask(client, 1)
    for _ in range(2):
        (node,) = world.holders()
        world.lose(node)
        world.advance(0.05)
    assert world.holders() == [], "held for a verdict"
    assert peer.frames == []
    world.advance(0.3)
    (answer,) = peer.frames
    assert answer.status == Status.POISON
    assert not answer.flags & kinds.Flag.NOT_EXECUTED
    assert (len(world.table.rotation), world.counters.poisoned) == (1, 1)


def test_its_like_is_refused_without_a_node_not_executed(world):
    client, peer = world.client()
    world.ask(client, 1)
    for _ in range(2):
        world.lose(world.holders()[0])
        world.advance(0.05)
    world.advance(0.3)
    world.ask(client, 2)
    world.ask(client, 3, opcode=DESCRIBE)
    assert (peer.frames[-1].request_id, peer.frames[-1].status) == (2, Status.POISON)
    assert peer.frames[-1].flags & kinds.Flag.NOT_EXECUTED
    assert list(client.in_flight) == [3]
    world.advance(60)
    world.ask(client, 4)
    assert 4 in client.in_flight
