"""Requests in, answers out: one answer each, whatever happens to nodes, clients and time."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm_cluster.packages import Quota
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame
from hsm_wire.messages import Failure, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.parties import Probe

SIGN = 0x0201


def frame_of(raw):
    (frame,) = FrameSplitter(1 << 20).split(raw)
    return frame


def statuses(peer):
    return [Status(frame.status) for frame in peer.of(kinds.RESPONSE)]


def test_a_request_reaches_one_node_and_its_answer_the_client(world):
    client, peer = world.client()
    world.ask(client, 5, body=b"\x91\x01")
    (node,) = world.holders()
    (sent,) = world.peers[node].of(kinds.REQUEST)
    assert (sent.body, sent.operation_id, sent.principal) == (b"\x91\x01", 7, client.principal.number)
    assert sent.timeout_ms == 10_000
    world.answer(node)
    (answer,) = peer.frames
    assert (answer.request_id, answer.status) == (5, 0)
    assert not client.in_flight
    assert not client.wire_ids
    assert node.in_flight == 0


def frames_of(*kinds_and_ids):
    raws = [encode_frame(kind, b"", request_id=number) for kind, number in kinds_and_ids]
    return FrameSplitter(1 << 20).split(b"".join(raws))


def test_requests_of_a_read_are_taken_up_to_the_first_frame_that_is_none(world):
    client, _peer = world.client()
    frames = frames_of((kinds.REQUEST, 1), (kinds.REQUEST, 2), (kinds.PING, 3), (kinds.REQUEST, 4))
    assert world.dispatcher.requests(client, frames, 0, world.now) == 2
    assert world.dispatcher.requests(client, frames, 2, world.now) == 2
    assert world.dispatcher.requests(client, frames, 3, world.now) == 4
    assert sorted(client.in_flight) == [1, 2, 4]


def test_answers_of_a_read_are_taken_up_to_the_first_frame_that_answers_no_request(world):
    link = world.links[world.nodes[0]]
    frames = frames_of((kinds.RESPONSE, 7), (kinds.RESPONSE, 0), (kinds.RESPONSE, 8), (kinds.PONG, 9))
    assert world.dispatcher.responses(link, frames, 0, world.now) == 1
    assert world.dispatcher.responses(link, frames, 2, world.now) == 3
    assert world.counters.late_answers == 2


def test_an_answer_in_the_middle_of_a_read_that_is_wrong_spoils_no_other(make_world):
    world = make_world(weights=(1,))
    (link,) = world.links.values()
    client, peer = world.client()
    for number in (1, 2, 3):
        world.ask(client, number)
    operations = {1: 7, 2: 8, 3: 7}  # all were asked under 7
    raws = [encode_frame(kinds.RESPONSE, b"", request_id=n, opcode=SIGN, operation_id=o) for n, o in operations.items()]
    assert world.dispatcher.responses(link, FrameSplitter(1 << 20).split(b"".join(raws)), 0, world.now) == 3
    assert [frame.request_id for frame in peer.of(kinds.RESPONSE)] == [1, 3]
    assert (sorted(link.in_flight), world.counters.wrong_answers) == ([2], 1)


def test_bind_comes_before_the_first_request_and_only_once(world):
    client, _ = world.client()
    for request_id in range(1, 60):
        world.ask(client, request_id)
    for peer in world.peers.values():
        assert peer.frames[0].kind == kinds.BIND
        assert len(peer.of(kinds.BIND)) == 1


@pytest.mark.parametrize(("clients", "in_flight"), [(1, 8), (64, 1)])
def test_each_node_gets_its_third_however_many_clients_ask(make_world, clients, in_flight):
    world = make_world(seed=20)
    peers = [world.client(f"c{number}")[0] for number in range(clients)]
    request_id = 0
    while request_id < 30_000:
        for client in peers:
            for _ in range(in_flight):
                request_id += 1
                world.ask(client, request_id)
        for node in world.nodes:
            for link_id in list(world.links[node].in_flight):
                world.answer(node, link_id)
    counts = [node.requests for node in world.nodes]
    expected = sum(counts) / 3
    chi_square = sum((count - expected) ** 2 / expected for count in counts)
    assert chi_square < 13.82  # p > 0.001 with two degrees of freedom
    assert all(abs(count - expected) < 0.03 * expected for count in counts)


def test_a_node_lost_in_mid_request_hands_it_to_another(world):
    client, peer = world.client()
    world.ask(client, 1)
    (first,) = world.holders()
    world.lose(first)
    (second,) = world.holders()
    assert second is not first
    assert peer.frames == []
    world.answer(second)
    assert statuses(peer) == [Status.OK]
    assert world.counters.failovers == 1
    assert (first.failures, first.in_flight) == ({"lost": 1}, 0)


def test_three_lost_nodes_end_a_request_which_may_have_run(world):
    client, peer = world.client()
    world.ask(client, 1)
    for _ in range(3):
        (node,) = world.holders()
        world.lose(node, abnormal=False)
    assert statuses(peer) == [Status.UNAVAILABLE]
    assert not peer.frames[0].flags & kinds.Flag.NOT_EXECUTED


@pytest.mark.parametrize(
    "status",
    [
        Status.DEVICE_ERROR,
        Status.MECHANISM_NOT_HERE,
        Status.RECORD_DAMAGED,
        Status.NOT_CURRENT,
        Status.STORE_UNAVAILABLE,
    ],
)
def test_a_node_that_cannot_do_it_is_asked_once_and_the_last_says_so(world, status):
    client, peer = world.client()
    world.ask(client, 1)
    asked = []
    while world.holders():
        (node,) = world.holders()
        asked.append(node)
        world.answer(node, status=status)
    assert len(set(asked)) == 3
    assert statuses(peer) == [status]


def test_going_away_is_tried_elsewhere_and_never_passed_on(make_world):
    world = make_world(weights=(1,))
    client, peer = world.client()
    world.ask(client, 1)
    world.table.path_down(world.nodes[0].paths[0], "leaving", world.now)
    world.answer(world.nodes[0], status=Status.GOING_AWAY, flags=kinds.Flag.NOT_EXECUTED)
    world.advance(0.4)
    assert statuses(peer) == [Status.UNAVAILABLE]
    assert peer.frames[0].flags & kinds.Flag.NOT_EXECUTED


def test_a_caller_s_own_error_is_passed_on_at_once(world):
    client, peer = world.client()
    world.ask(client, 1)
    world.answer(world.holders()[0], status=Status.KEY_NOT_FOUND)
    assert statuses(peer) == [Status.KEY_NOT_FOUND]


def test_a_request_past_its_deadline_is_answered_and_the_late_answer_dropped(world):
    client, peer = world.client()
    world.ask(client, 1, timeout_ms=500)
    (node,) = world.holders()
    world.advance(0.45)
    assert peer.frames == []
    world.advance(0.15)
    assert statuses(peer) == [Status.TIMEOUT]
    assert node.in_flight == 1, "the node still works on it"
    world.answer(node)
    assert len(peer.frames) == 1
    assert world.counters.late_answers == 1
    assert node.in_flight == 0


def test_an_answer_owed_for_too_long_no_longer_fills_the_window(world):
    client, _ = world.client()
    world.ask(client, 1, timeout_ms=100)
    (node,) = world.holders()
    world.advance(31)
    assert node.in_flight == 0
    assert world.counters.forgotten_answers == 1


def test_without_a_node_requests_wait_a_quarter_second_then_unavailable(world):
    client, peer = world.client()
    for node in world.nodes:
        world.lose(node)
    world.advance(5)
    world.ask(client, 1)
    world.advance(0.2)
    assert peer.frames == []
    world.advance(0.1)
    assert statuses(peer) == [Status.UNAVAILABLE]
    assert peer.frames[0].flags & kinds.Flag.NOT_EXECUTED


def test_a_node_that_comes_back_in_time_serves_what_waited(world):
    client, peer = world.client()
    for node in world.nodes:
        world.lose(node)
    world.ask(client, 1)
    world.advance(0.1)
    world.bring_up(world.nodes[1])
    world.advance(0.05)
    world.answer(world.nodes[1])
    assert statuses(peer) == [Status.OK]


def test_a_request_on_the_only_node_is_sent_again_when_it_returns(make_world):
    world = make_world(weights=(1,))
    client, peer = world.client()
    world.ask(client, 1)
    world.lose(world.nodes[0])
    world.bring_up(world.nodes[0])
    world.advance(0.05)
    world.answer(world.nodes[0])
    assert statuses(peer) == [Status.OK]


def test_no_node_gets_more_than_its_window_and_a_slot_is_filled_at_once(make_world):
    world = make_world(window=2)
    client, peer = world.client()
    for request_id in range(1, 11):
        world.ask(client, request_id)
    assert [node.in_flight for node in world.nodes] == [2, 2, 2]
    assert world.dispatcher.waiting == 4
    world.answer(world.nodes[0])
    assert [node.in_flight for node in world.nodes] == [2, 2, 2]
    assert world.dispatcher.waiting == 3
    assert len(peer.frames) == 1


def test_a_client_with_few_requests_is_not_behind_one_with_many(make_world):
    world = make_world(window=1, weights=(1,))
    many, _ = world.client("many")
    few, few_peer = world.client("few")
    for request_id in range(1, 51):
        world.ask(many, request_id)
    world.ask(few, 1)
    for _ in range(3):
        world.answer(world.nodes[0])
    assert statuses(few_peer) == [Status.OK]


def test_a_full_queue_answers_overloaded_not_executed(make_world):
    world = make_world(window=1, weights=(1,), queue_requests=2)
    client, peer = world.client()
    for request_id in range(1, 5):
        world.ask(client, request_id)
    (answer,) = peer.frames
    assert (answer.request_id, answer.status) == (4, Status.OVERLOADED)
    assert answer.flags & kinds.Flag.NOT_EXECUTED


def test_a_queue_longer_than_the_time_left_answers_overloaded_at_once(make_world):
    world = make_world(window=1, weights=(1,))
    client, peer = world.client()
    for request_id in range(1, 101):
        world.ask(client, request_id)
    for _ in range(20):  # ten answers a second
        world.advance(0.1)
        world.answer(world.nodes[0])
    before = len(peer.frames)
    world.ask(client, 200, timeout_ms=1000)
    assert peer.frames[-1].request_id == 200
    assert (len(peer.frames), peer.frames[-1].status) == (before + 1, Status.OVERLOADED)


def test_a_wait_for_a_window_ends_at_the_deadline_not_executed(make_world):
    world = make_world(window=1, weights=(1,))
    client, peer = world.client()
    world.ask(client, 1)
    world.ask(client, 2, timeout_ms=100)
    world.advance(0.2)
    (answer,) = peer.frames
    assert (answer.request_id, answer.status) == (2, Status.OVERLOADED)
    assert answer.flags & kinds.Flag.NOT_EXECUTED


def test_more_in_flight_than_agreed_is_overloaded_not_executed(world):
    client, peer = world.client(max_in_flight=2)
    for request_id in (1, 2, 3):
        world.ask(client, request_id)
    (answer,) = peer.frames
    assert (answer.request_id, answer.status, client.wire_ids) == (3, Status.OVERLOADED, {1, 2})


def test_status_is_answered_by_the_proxy(world):
    client, peer = world.client()
    world.ask(client, 1, opcode=0x0003)
    assert statuses(peer) == [Status.OK]
    assert world.holders() == []


def test_a_client_that_is_sent_away_gets_its_last_answer_and_is_drained(world):
    drained = []
    client, peer = world.client(drained=lambda: drained.append(True))
    world.ask(client, 1)
    client.leaving = True
    assert drained == []
    world.answer(world.holders()[0])
    assert statuses(peer) == [Status.OK]
    assert drained == [True]


def test_a_proxy_that_leaves_serves_who_has_not_heard_of_it_yet(world):
    client, peer = world.client()
    world.dispatcher.leaving = True
    world.ask(client, 1)
    world.answer(world.holders()[0])
    assert statuses(peer) == [Status.OK]


def test_cancel_of_a_waiting_request_is_answered_here(make_world):
    world = make_world(window=1, weights=(1,))
    client, peer = world.client()
    world.ask(client, 1)
    world.ask(client, 2)
    world.dispatcher.cancel(client, 2, world.now)
    world.dispatcher.cancel(client, 99, world.now)
    assert statuses(peer) == [Status.CANCELLED]
    world.dispatcher.cancel(client, 1, world.now)
    (cancel,) = world.peers[world.nodes[0]].of(kinds.CANCEL)
    assert cancel.request_id == next(iter(world.links[world.nodes[0]].in_flight))


def test_a_lost_client_s_work_is_cancelled_and_never_sent_again(make_world):
    world = make_world(window=1)
    client, peer = world.client()
    for request_id in range(1, 6):
        world.ask(client, request_id)
    world.dispatcher.client_lost(client, world.now)
    assert world.dispatcher.waiting == 0
    world.lose(world.nodes[0])
    assert all(len(p.of(kinds.REQUEST)) == 1 for p in world.peers.values())
    for node in world.nodes[1:]:
        assert len(world.peers[node].of(kinds.CANCEL)) == 1
        world.answer(node)
    assert (world.counters.late_answers, peer.frames) == (2, [])


def test_frames_above_what_a_peer_takes_are_too_large(world):
    client, peer = world.client(max_frame_bytes=40)
    for link in world.links.values():
        link.max_frame_bytes = 100
    world.ask(client, 1, body=bytes(200))
    assert statuses(peer) == [Status.TOO_LARGE]
    world.ask(client, 2)
    client.max_frame_bytes = 20
    world.answer(world.holders()[0])
    assert statuses(peer) == [Status.TOO_LARGE] * 2


def test_an_answer_nobody_waits_for_is_dropped(world):
    world.answer(world.nodes[0], link_id=77)
    assert world.counters.late_answers == 1


ACTIONS = st.one_of(
    st.tuples(st.just("ask"), st.integers(0, 2), st.sampled_from([0, 50, 300])),
    st.tuples(st.just("answer"), st.integers(0, 2), st.sampled_from(list(Status))),
    st.tuples(st.just("lose"), st.integers(0, 2), st.none()),
    st.tuples(st.just("up"), st.integers(0, 2), st.none()),
    st.tuples(st.just("time"), st.sampled_from([1, 5, 20]), st.none()),
    st.tuples(st.just("cancel"), st.integers(0, 2), st.integers(1, 20)),
)


class History:
    """Plays actions on a world and knows how many requests were asked."""

    def __init__(self, world):
        self.world = world
        self.clients = [world.client(f"c{number}") for number in range(3)]
        self.asked = [0, 0, 0]

    def play(self, kind, which, more):
        world = self.world
        getattr(self, kind)(which, more)
        for node in world.nodes:
            assert node.in_flight == len(world.links[node].in_flight) <= world.window
        for number, (client, peer) in enumerate(self.clients):
            answered = [frame.request_id for frame in peer.frames]
            assert len(answered) == len(set(answered)), "two answers to one request"
            assert sorted([*answered, *client.in_flight]) == list(range(1, self.asked[number] + 1))

    def ask(self, which, timeout_ms):
        self.asked[which] += 1
        self.world.ask(self.clients[which][0], self.asked[which], timeout_ms=timeout_ms)

    def answer(self, which, status):
        if self.world.links[self.world.nodes[which]].in_flight:
            self.world.answer(self.world.nodes[which], status=status)

    def lose(self, which, _):
        if self.world.nodes[which].paths[0].link is not None:
            self.world.lose(self.world.nodes[which])

    def up(self, which, _):
        if self.world.nodes[which].paths[0].link is None:
            self.world.bring_up(self.world.nodes[which])

    def time(self, steps, _):
        self.world.advance(steps * 0.025)

    def cancel(self, which, request_id):
        self.world.dispatcher.cancel(self.clients[which][0], request_id, self.world.now)


@settings(max_examples=150, deadline=None, database=None)
@given(st.lists(ACTIONS, max_size=60))
def test_every_request_has_exactly_one_answer_whatever_happens(make_world_class, actions):
    history = History(make_world_class(window=2, queue_requests=5))
    for action in actions:
        history.play(*action)
    history.world.advance(45)
    for number, (client, peer) in enumerate(history.clients):
        assert sorted(frame.request_id for frame in peer.frames) == list(range(1, history.asked[number] + 1))
        assert not client.in_flight
    assert all(node.in_flight == 0 for node in history.world.nodes)


GENERATE = 0x0101


def test_a_partition_has_a_bound_of_key_generations_of_its_own(make_world):
    world = make_world(partition_generations=2)
    one, peer = world.client("one")
    another, _ = world.client("another")
    third, third_peer = world.client("third")
    third.principal.partition = 2
    world.ask(one, 1, opcode=GENERATE)
    world.ask(another, 1, opcode=GENERATE)
    world.ask(one, 2, opcode=GENERATE)
    (answer,) = peer.frames
    assert (answer.request_id, answer.status) == (2, Status.OVERLOADED)
    assert answer.flags & kinds.Flag.NOT_EXECUTED
    world.ask(third, 1, opcode=GENERATE)
    assert third_peer.frames == [], "another partition has its own"
    world.ask(one, 3)
    assert 3 in one.in_flight, "other work is not bound by it"
    world.dispatcher.client_lost(another, world.now)
    world.ask(one, 4, opcode=GENERATE)
    assert 4 in one.in_flight


def test_what_is_above_its_partition_s_quota_is_answered_with_the_time_to_wait(make_world):
    world = make_world()
    client, peer = world.client()
    quotas = world.dispatcher.quotas
    quotas.configure({1: Quota(1, 1)}, world.now)
    quotas.gates[1].left = 1
    world.ask(client, 1)
    world.ask(client, 2)
    world.ask(client, 3, opcode=GENERATE)
    over, generation = peer.frames
    assert (over.request_id, over.status, over.flags) == (2, Status.OVER_QUOTA, kinds.Flag.NOT_EXECUTED)
    assert decode_body(Failure, over.body).retry_after_ms == 1000
    assert decode_body(Failure, generation.body).retry_after_ms == 1000
    assert (world.holders() != [], list(client.in_flight)) == (True, [1])
    assert world.dispatcher.quotas.refused == {(1, "signatures"): 1, (1, "generations"): 1}
    world.ask(client, 4, opcode=0x0202)
    assert 4 in client.in_flight, "verifying is free"


def test_a_key_generation_that_made_no_key_costs_nothing(make_world):
    world = make_world(partition_generations=1)
    client, peer = world.client()
    world.dispatcher.quotas.configure({1: Quota(None, 1)}, world.now - 4)
    rate = world.dispatcher.quotas.gates[1].rate
    world.ask(client, 1, opcode=GENERATE)
    world.ask(client, 2, opcode=GENERATE)
    assert peer.frames[-1].status == Status.OVERLOADED, "one at a time"
    (node,) = world.holders()
    world.answer(node, status=Status.KEY_EXISTS)
    world.ask(client, 3, opcode=GENERATE)
    world.answer(world.holders()[0])
    world.ask(client, 4, opcode=GENERATE)
    world.dispatcher.client_lost(client, world.now)  # a node may make that key all the same
    assert [rate.take(int(world.now * 1000)) for _ in range(3)] == [0, 0, 1000]


def test_key_generations_take_no_room_from_ordinary_work(make_world):
    world = make_world(window=1, weights=(1,))
    client, peer = world.client()
    for request_id in (1, 2, 3):
        world.ask(client, request_id, opcode=GENERATE)
    world.ask(client, 4)
    assert world.dispatcher.waiting == 0
    assert len(world.links[world.nodes[0]].in_flight) == 4
    assert peer.frames == []


def test_a_client_that_goes_while_its_request_waits_leaves_nothing_behind(make_world):
    world = make_world(window=1, weights=(1,))
    client, _ = world.client()
    world.ask(client, 1)
    world.ask(client, 2)
    world.lose(world.nodes[0], abnormal=False)
    assert world.dispatcher.waiting == 2
    world.dispatcher.client_lost(client, world.now)
    assert world.dispatcher.waiting == 0
    world.bring_up(world.nodes[0])
    world.advance(11)
    assert world.peers[world.nodes[0]].frames == []


def test_the_time_that_ran_out_after_a_loss_is_a_time_out_and_not_called_not_executed(make_world):
    world = make_world(weights=(1, 1), budget_per_s=0.0, budget_share=0.0, budget_burst=1)
    client, peer = world.client()
    world.dispatcher._budget.take()
    world.ask(client, 1, timeout_ms=300)
    world.lose(world.holders()[0], abnormal=False)
    world.advance(0.4)
    (answer,) = peer.frames
    assert answer.status == Status.TIMEOUT
    assert not answer.flags & kinds.Flag.NOT_EXECUTED


def test_a_deadline_shorter_than_the_wait_for_a_node_is_kept(world):
    client, peer = world.client()
    for node in world.nodes:
        world.lose(node)
    world.ask(client, 1, timeout_ms=100)
    world.advance(0.15)
    assert statuses(peer) == [Status.UNAVAILABLE]
    assert peer.frames[0].flags & kinds.Flag.NOT_EXECUTED


def test_what_was_asked_just_before_the_last_loss_waits_its_quarter_second_too(world):
    client, peer = world.client()
    for node in world.nodes:
        world.lose(node)
    world.advance(0.2)
    world.ask(client, 1)
    world.advance(0.1)
    assert peer.frames == []
    world.advance(0.2)
    assert statuses(peer) == [Status.UNAVAILABLE]


def test_requests_that_lost_their_node_wait_as_long_when_none_is_left(make_world):
    world = make_world(weights=(1,))
    client, peer = world.client()
    world.ask(client, 1)
    world.advance(0.5)
    world.lose(world.nodes[0], abnormal=False)
    world.advance(0.2)
    assert peer.frames == []
    world.advance(0.1)
    assert statuses(peer) == [Status.UNAVAILABLE]
    assert not peer.frames[0].flags & kinds.Flag.NOT_EXECUTED


def test_answers_to_deep_checks_go_to_who_asked_and_leave_the_window(world):
    taken = []
    node = world.nodes[0]
    link = world.links[node]
    probe = Probe(node, bytes(32), world.now)
    link.in_flight[1] = probe
    node.in_flight += 1
    world.dispatcher.on_probe = lambda probe, link, frame, now: taken.append((probe, link, now))
    world.answer(node, 1)
    assert taken == [(probe, link, world.now)]
    link.in_flight[2] = probe
    node.in_flight += 1
    world.dispatcher.on_probe = None
    world.answer(node, 2)
    assert node.in_flight == 0
    assert node.answers == 0, "it says nothing of clients' requests"


def test_key_generation_says_nothing_of_a_node_s_speed(world):
    client, _ = world.client()
    world.ask(client, 1, opcode=GENERATE)
    (node,) = world.holders()
    world.now += 30
    link = world.links[node]
    frame_of = type(world.peers[node])()
    frame_of.sink(encode_frame(kinds.RESPONSE, b"\x90", request_id=1, opcode=GENERATE, operation_id=7))
    world.dispatcher.response(link, frame_of.frames[0], world.now)
    assert (node.answers, node.answer_time_s) == (0, 0.0)
    world.ask(client, 2)
    (node,) = world.holders()
    world.now += 2
    world.answer(node)
    assert (node.answers, node.answer_time_s) == (1, 2.0)


def test_a_queue_is_measured_while_requests_wait_and_forgotten_when_none_does(make_world):
    world = make_world(window=1, weights=(1,))
    client, _ = world.client()
    for request_id in range(1, 5):
        world.ask(client, request_id)
    for _ in range(3):
        world.advance(0.3)
        world.answer(world.nodes[0])
    assert 0 < world.dispatcher._rate < 5
    world.answer(world.nodes[0])
    world.advance(0.6)
    assert world.dispatcher._rate == 0.0


def test_requests_that_never_had_a_node_are_unavailable_when_none_comes(world):
    client, peer = world.client()
    for node in world.nodes:
        world.lose(node)
    for request_id in (1, 2):
        world.ask(client, request_id)
    world.dispatcher.client_lost(client, world.now)
    assert world.dispatcher.waiting == 0
    other, other_peer = world.client("other")
    world.ask(other, 1)
    world.advance(0.3)
    assert (peer.frames, statuses(other_peer)) == ([], [Status.UNAVAILABLE])


def test_an_owed_answer_that_was_taken_already_is_not_counted_as_forgotten(world):
    client, _ = world.client()
    world.ask(client, 1, timeout_ms=100)
    (node,) = world.holders()
    world.advance(0.2)
    world.links[node].in_flight.clear()
    world.advance(31)
    assert world.counters.forgotten_answers == 0


# ---- answers that do not fit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("opcode", "operation_id"), [(SIGN, 8), (SIGN + 1, 7), (0, 0)])
def test_the_answer_to_another_request_reaches_nobody_and_ends_the_link(world, opcode, operation_id):
    closed = []
    client, peer = world.client()
    world.ask(client, 1)
    (node,) = world.holders()
    link = world.links[node]
    link.close = closed.append
    wrong = encode_frame(kinds.RESPONSE, b"\x90", request_id=1, opcode=opcode, operation_id=operation_id)
    world.dispatcher.response(link, frame_of(wrong), world.now)
    assert (peer.frames, len(closed), world.counters.wrong_answers) == ([], 1, 1)
    world.lose(node)
    (second,) = world.holders()
    world.answer(second)
    assert [frame.status for frame in peer.frames] == [Status.OK]


def test_a_late_answer_to_another_request_is_no_better(world):
    closed = []
    client, peer = world.client()
    world.ask(client, 1)
    (node,) = world.holders()
    world.links[node].close = closed.append
    world.advance(1.1)  # another node is asked too
    wrong = encode_frame(kinds.RESPONSE, b"\x90", request_id=1, opcode=SIGN, operation_id=8)
    world.dispatcher.response(world.links[node], frame_of(wrong), world.now)
    assert (peer.frames, len(closed), world.counters.wrong_answers) == ([], 1, 1)


# ---- what one may take from the others -------------------------------------------------------------------------------


def test_one_identity_with_many_connections_does_not_shut_another_partition_out(make_world):
    world = make_world(window=1, queue_requests=50)
    for _ in range(10):
        greedy, _ = world.client("greedy")
        for request_id in range(1, 9):
            world.ask(greedy, request_id)
    assert world.dispatcher.queue.size == 50
    modest, peer = world.client("modest")
    modest.principal = world.principals.join("spiffe://t/client/modest", 2, ["use"])
    world.ask(modest, 1)
    assert statuses(peer) == []
    assert world.counters.overloaded["queue_full"] == 80 - 3 - 50 + 1
    world.answer(world.nodes[0])
    world.answer(world.nodes[1])
    assert modest.in_flight[1].link is not None, "its partition has had its turn"


def test_when_too_much_waits_for_another_node_new_requests_are_refused_and_those_are_not(make_world):
    world = make_world(weights=(1, 1), window=8, queue_requests=4)
    client, peer = world.client()
    for request_id in range(1, 13):
        world.ask(client, request_id)
    world.lose(world.nodes[0])
    waiting = len(world.dispatcher.failover.waiting)
    assert waiting >= 4
    newcomer, other = world.client()
    world.ask(newcomer, 1)
    world.ask(newcomer, 2, opcode=GENERATE)
    assert statuses(other) == [Status.OVERLOADED] * 2
    assert world.counters.overloaded["failover_full"] == 2
    assert world.dispatcher._switch.generations[1] == 0
    assert statuses(peer) == []
    assert world.dispatcher.failover.waiting.bytes > 0


def test_who_took_the_last_node_out_can_bring_it_back(world):
    for node in world.nodes:
        world.table.move(node, world.now, "", operational="up", administrative="drain")
    client, peer = world.client()
    world.ask(client, 1, opcode=int(Opcode.SET_NODE_STATE))
    world.ask(client, 2)
    (node,) = world.holders()
    world.answer(node)
    world.advance(0.3)
    answers = {frame.request_id: frame for frame in peer.of(kinds.RESPONSE)}
    assert (answers[1].status, answers[2].status) == (Status.OK, Status.UNAVAILABLE)
    assert "taken out of service by an operator" in decode_body(Failure, answers[2].body).detail


def test_what_the_dr_site_is_asked_goes_to_its_node_whatever_its_state(world):
    apart = world.nodes[2]
    apart.recovers = True
    world.table.move(apart, world.now, "", operational="standby", administrative="ready")
    client, peer = world.client()
    for request_id, opcode in enumerate((Opcode.DR_STATUS, Opcode.DR_DRILL) * 5, 1):
        world.ask(client, request_id, opcode=opcode)
        assert world.holders() == [apart]
        world.answer(apart)
    assert statuses(peer) == [Status.OK] * 10
    world.ask(client, 11, opcode=Opcode.CLUSTER_STATE)
    assert apart not in world.holders()


def test_where_no_node_of_the_dr_site_can_be_reached_who_asks_may_ask_again(world):
    apart = world.nodes[2]
    apart.recovers = True
    link, apart.link = apart.link, None
    client, peer = world.client()
    for request_id, opcode in enumerate((Opcode.DR_STATUS, Opcode.DR_DRILL), 1):
        world.ask(client, request_id, opcode=opcode)
    assert world.holders() == []
    assert statuses(peer) == [Status.UNAVAILABLE] * 2
    assert client.in_flight == {}
    apart.link = link
    world.ask(client, 3, opcode=Opcode.DR_STATUS)
    assert world.holders() == [apart]


def test_a_cluster_without_a_dr_site_hears_so_from_any_node(world):
    client, _ = world.client()
    world.ask(client, 1, opcode=Opcode.DR_STATUS)
    assert len(world.holders()) == 1


def test_nothing_is_administered_through_a_node_that_is_not_well(world):
    for node in world.nodes:
        world.table.move(node, world.now, "", operational="ejected", administrative="ready")
    client, _ = world.client()
    world.ask(client, 1, opcode=int(Opcode.SET_NODE_STATE))
    assert world.holders() == []
    assert world.table.outage == "no HSM node can be reached"
