"""Answers that are marked as stale, while another node is held to be current."""

import pytest

from hsm_wire import kinds
from hsm_wire.messages import Pong
from hsm_wire.statuses import Status
from proxy.core.requests.answers import STALE
from proxy.core.requests.stale_answers import ASK_AGAIN_S, UNREACHED_S


def asked(world, **more):
    """Ask one request; return the client, its peer and the node that has it."""
    client, peer = world.client()
    world.ask(client, 1, **more)
    (node,) = world.holders()
    return client, peer, node


def says(world, node, state):
    """The node answers a check."""
    world.table.report(world.links[node], Pong(b"b", 0, 1, 64, 0, state=state), world.now)
    world.dispatcher.stale.heard(node, world.now)


def pings(world, node):
    return len(world.peers[node].of(kinds.PING))


def test_while_no_node_is_held_to_be_current_a_marked_answer_is_passed_on(world):
    for node in world.nodes:
        says(world, node, "stale")
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    assert [(frame.status, frame.flags) for frame in peer.frames] == [(Status.OK, STALE)]
    assert (world.counters.stale_passed, world.counters.stale_dropped) == (1, 0)


def test_a_marked_answer_is_kept_and_all_that_are_held_to_be_current_are_asked_at_once(world):
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    assert peer.frames == []
    assert [pings(world, one) for one in world.nodes] == [1, 1, 1]


def test_a_node_that_says_that_it_is_current_has_the_request_and_the_marked_answer_is_dropped(world):
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    other = next(one for one in world.nodes if one is not node)
    says(world, other, "up")
    assert world.holders() == [other]
    world.answer(other)
    assert [(frame.status, frame.flags) for frame in peer.frames] == [(Status.OK, 0)]
    assert (world.counters.stale_passed, world.counters.stale_dropped) == (0, 1)


def test_when_the_last_of_them_says_that_it_is_stale_the_answer_is_passed_on(world):
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    for one in world.nodes:
        assert peer.frames == []
        says(world, one, "stale")
    assert [frame.flags for frame in peer.frames] == [STALE]


def test_a_node_that_is_lost_is_not_waited_for(world):
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    for one in world.nodes:
        world.lose(one)
    assert [frame.flags for frame in peer.frames] == [STALE]


def test_who_does_not_answer_in_the_time_of_a_check_is_not_reached(world):
    _, peer, node = asked(world)
    world.answer(node, flags=STALE)
    world.advance(UNREACHED_S - 0.05)
    assert peer.frames == []
    world.advance(0.1)
    assert [frame.flags for frame in peer.frames] == [STALE]


def test_an_answer_whose_request_has_no_time_left_is_not_passed_on(world):
    _, peer, node = asked(world, timeout_ms=200)
    world.answer(node, flags=STALE)
    world.advance(0.3)
    assert [frame.status for frame in peer.frames] == [Status.TIMEOUT]
    world.advance(1.0)
    assert len(peer.frames) == 1


@pytest.mark.parametrize("lost", [False, True])
def test_a_client_that_cancels_or_goes_has_no_other_answer(world, lost):
    client, peer, node = asked(world)
    world.answer(node, flags=STALE)
    if lost:
        world.dispatcher.client_lost(client, world.now)
    else:
        world.dispatcher.cancel(client, 1, world.now)
    says(world, node, "up")
    world.advance(1.0)
    assert [frame.status for frame in peer.frames] == ([] if lost else [Status.CANCELLED])
    assert world.holders() == []


def test_a_late_marked_answer_is_dropped_while_a_current_node_has_the_request(world):
    _, peer, node = asked(world)
    world.advance(1.1)
    (other,) = world.holders()
    world.answer(node, flags=STALE)
    assert peer.frames == []
    world.answer(other)
    assert [frame.flags for frame in peer.frames] == [0]


def test_what_a_stale_node_does_not_do_goes_elsewhere_as_ever(world):
    _, peer, node = asked(world)
    world.answer(node, status=Status.NOT_CURRENT, flags=STALE | 1)
    (other,) = world.holders()
    assert other is not node
    assert peer.frames == []


def test_for_many_marked_answers_at_once_each_node_is_asked_once_and_again_if_it_does_not_answer(world):
    client, peer = world.client()
    for number in range(1, 31):
        world.ask(client, number)
    for node in world.nodes:
        for link_id in list(world.links[node].in_flight):
            world.answer(node, link_id, flags=STALE)
    assert [pings(world, one) for one in world.nodes] == [1, 1, 1]
    world.now += 2 * ASK_AGAIN_S
    world.ask(client, 99)
    world.answer(world.holders()[0], flags=STALE)
    assert [pings(world, one) for one in world.nodes] == [2, 2, 2]
    assert peer.frames == []
