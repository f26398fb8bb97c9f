"""Where a request meets a link: which link, how long, and what the counts say."""

import pytest

from hsm_wire import kinds
from hsm_wire.statuses import Status
from proxy.core.parties import Link, Loss, Owed, Request
from proxy.core.requests.deadlines import SLOT_S
from proxy.core.requests.switch import NEVER

SIGN, GENERATE, UPDATE, INFO, DRAIN = 0x0201, 0x0101, 0x0105, 0x0001, 0x0402


@pytest.fixture
def one(make_world):
    return make_world(weights=(1,))


def switch_of(world):
    return world.dispatcher.failover._switch


def slot_of(at):
    return int(at / SLOT_S) + 1


def due_slot(world, request):
    (index,) = [index for index, slot in switch_of(world).wheel._slots.items() if request in slot]
    return index


def in_flight(world, node=0):
    return list(world.links[world.nodes[node]].in_flight.values())


@pytest.mark.parametrize(("opcode", "seconds"), [(SIGN, 1.0), (INFO, 1.0), (UPDATE, 5.0), (GENERATE, NEVER)])
def test_a_node_has_as_long_as_the_class_of_work_takes(one, opcode, seconds):
    client, _ = one.client()
    one.ask(client, 1, opcode=opcode)
    (request,) = in_flight(one)
    assert switch_of(one).fair_s(request.handling) == seconds
    assert due_slot(one, request) == slot_of(min(one.now + seconds, request.deadline))


def test_the_last_attempt_has_the_whole_deadline(one):
    client, _ = one.client()
    one.ask(client, 1)
    (request,) = in_flight(one)
    for made_before, seconds in [(0, 1.0), (1, 1.0), (2, NEVER)]:
        request.attempts = made_before
        switch_of(one).send(request, one.nodes[0], one.now)
        assert due_slot(one, request) == slot_of(min(one.now + seconds, request.deadline))


def test_the_time_left_is_what_the_node_is_told(one):
    client, _ = one.client()
    one.ask(client, 1, timeout_ms=2_500)
    assert one.peers[one.nodes[0]].of(kinds.REQUEST)[0].timeout_ms == 2_500
    one.lose(one.nodes[0], abnormal=False)
    one.now += 0.1
    one.bring_up(one.nodes[0])
    one.dispatcher.pump(one.now)
    assert one.peers[one.nodes[0]].of(kinds.REQUEST)[0].timeout_ms == pytest.approx(2_400, abs=1)


def test_a_request_never_says_that_it_has_no_deadline(one):
    client, _ = one.client()
    one.ask(client, 1, timeout_ms=500)
    (request,) = in_flight(one)
    one.links[one.nodes[0]].in_flight.clear()
    switch_of(one).detach(request)
    switch_of(one).send(request, one.nodes[0], one.now + 0.4999)
    assert one.peers[one.nodes[0]].of(kinds.REQUEST)[-1].timeout_ms == 1


def bulky(world, node):
    """Give the node a bulk link; return what is sent over it."""
    sent = []
    node.paths[0].bulk = Link(node.paths[0], sent.append, bulk=True)
    world.table.judge(node, world.now)
    return sent


def test_large_bodies_use_the_bulk_link_and_small_ones_do_not(one):
    node = one.nodes[0]
    sent = bulky(one, node)
    client, _ = one.client()
    one.ask(client, 1, body=bytes(16 << 10))
    one.ask(client, 2, body=bytes(100))
    assert (len(node.paths[0].bulk.in_flight), len(node.paths[0].link.in_flight)) == (1, 1)
    assert len(sent) == 2, "BIND goes before the first request of each link"
    assert node.in_flight == 2


def test_large_bodies_fall_back_to_the_main_link(one):
    client, _ = one.client()
    one.ask(client, 1, body=bytes(64 << 10))
    assert len(one.links[one.nodes[0]].in_flight) == 1


def test_key_generation_takes_no_room_in_the_window(one):
    client, _ = one.client()
    one.ask(client, 1, opcode=GENERATE)
    node = one.nodes[0]
    assert (node.in_flight, len(in_flight(one))) == (0, 1)
    one.dispatcher.client_lost(client, one.now)
    (owed,) = in_flight(one)
    assert (node.in_flight, type(owed)) == (0, Owed)
    one.answer(node)
    assert node.in_flight == 0


def test_a_request_that_was_left_still_fills_the_window_until_it_is_answered(one):
    client, _ = one.client()
    one.ask(client, 1)
    (request,) = in_flight(one)
    switch_of(one).leave(request, one.now, cancel=True)
    (owed,) = in_flight(one)
    assert (type(owed), request.link, one.nodes[0].in_flight) == (Owed, None, 1)
    assert one.peers[one.nodes[0]].of(kinds.CANCEL)[0].request_id == owed.link_id
    one.links[one.nodes[0]].in_flight.clear()
    switch_of(one).settle(owed)
    assert (one.nodes[0].in_flight, owed.slot) == (0, None)


def test_nothing_is_cancelled_that_may_still_be_of_use(one):
    client, _ = one.client()
    one.ask(client, 1)
    (request,) = in_flight(one)
    switch_of(one).leave(request, one.now, cancel=False)
    assert one.peers[one.nodes[0]].of(kinds.CANCEL) == []


def test_suspects_of_a_node_are_counted_while_they_are_there(one):
    client, _ = one.client()
    one.ask(client, 1)
    (request,) = in_flight(one)
    node, switch = one.nodes[0], switch_of(one)
    one.links[node].in_flight.clear()
    switch.detach(request)
    request.losses = (Loss.CRASH,)
    switch.send(request, node, one.now)
    assert node.suspects == 1
    switch.leave(request, one.now, cancel=False)
    assert node.suspects == 0
    switch.send(request, node, one.now)
    switch.detach(request)
    assert node.suspects == 0


def test_the_time_since_when_a_link_owes_begins_with_its_first_request(one):
    client, _ = one.client()
    link = one.links[one.nodes[0]]
    one.ask(client, 1)
    one.now += 1
    one.ask(client, 2)
    assert link.owing_since == 100.0
    one.answer(one.nodes[0])
    one.answer(one.nodes[0])
    one.ask(client, 3)
    assert link.owing_since == 101.0


def test_a_frame_above_what_the_node_takes_is_too_large_and_did_not_run(one):
    client, peer = one.client()
    one.links[one.nodes[0]].max_frame_bytes = 100
    one.ask(client, 1, body=bytes(200))
    (answer,) = peer.frames
    assert (answer.status, answer.flags) == (Status.TOO_LARGE, kinds.Flag.NOT_EXECUTED)
    assert one.nodes[0].in_flight == 0


def test_a_client_that_was_paused_is_read_again_with_its_next_answer(one):
    resumed = []
    client, _ = one.client(resume=lambda: resumed.append(True))
    one.ask(client, 1)
    one.ask(client, 2)
    one.answer(one.nodes[0])
    assert resumed == []
    client.paused = True
    one.answer(one.nodes[0])
    assert resumed == [True]


def test_a_client_that_is_leaving_is_told_only_when_all_is_answered(one):
    drained = []
    client, _ = one.client(drained=lambda: drained.append(True))
    one.ask(client, 1)
    one.ask(client, 2)
    client.leaving = True
    one.answer(one.nodes[0])
    assert drained == []
    one.answer(one.nodes[0])
    assert drained == [True]


def test_generations_are_counted_by_partition_until_they_are_answered(one):
    client, _ = one.client()
    one.ask(client, 1, opcode=GENERATE)
    one.ask(client, 2, opcode=GENERATE)
    assert switch_of(one).generations[1] == 2
    one.answer(one.nodes[0])
    one.dispatcher.client_lost(client, one.now)
    assert switch_of(one).generations[1] == 0


def test_an_answer_leaves_nothing_on_the_wheel(one):
    client, _ = one.client()
    one.ask(client, 1)
    (request,) = in_flight(one)
    assert isinstance(request, Request)
    assert request.slot is not None
    one.answer(one.nodes[0])
    assert (request.slot, request.done) == (None, True)


def test_not_executed_is_not_passed_on_for_a_request_that_another_node_had(make_world):
    world = make_world(weights=(1, 1))
    client, peer = world.client()
    world.ask(client, 1)
    (node,) = world.holders()
    world.lose(node, abnormal=False)
    world.answer(world.holders()[0], status=Status.OVERLOADED, flags=kinds.Flag.NOT_EXECUTED)
    (answer,) = peer.frames
    assert (answer.status, answer.flags) == (Status.OVERLOADED, 0)
    world.ask(client, 2)
    world.answer(world.holders()[0], status=Status.OVERLOADED, flags=kinds.Flag.NOT_EXECUTED)
    assert peer.frames[1].flags == kinds.Flag.NOT_EXECUTED
