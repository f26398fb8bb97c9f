"""What happens to a request that its node did not serve."""

import pytest

from hsm_wire import kinds
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.parties import Link, Owed, Request
from proxy.core.requests.failover import MAX_MOVES, WRONG_SIGNATURE

GENERATE, UPDATE = int(Opcode.GENERATE_KEY), int(Opcode.UPDATE_KEY)


def requests_at(world, node):
    return [entry for entry in world.links[node].in_flight.values() if isinstance(entry, Request)]


def empty_budget(world):
    world.dispatcher._budget.tokens = 0.0


def other_than(world, *nodes):
    return next(node for node in world.nodes if node not in nodes)


def ask_one(world, **more):
    """Ask one request; return the client, its peer and the node that has it."""
    client, peer = world.client()
    world.ask(client, 1, **more)
    (node,) = world.holders()
    return client, peer, node


# ---- an attempt's time -----------------------------------------------------------------------------------------------


def test_a_node_that_has_had_its_second_loses_the_request_to_another(world):
    _, _, node = ask_one(world)
    world.advance(0.95)
    assert world.holders() == [node]
    world.advance(0.1)
    (second,) = world.holders()
    assert second is not node
    assert (node.errors, node.errors_in_a_row, node.failures) == (1, 1, {"timeout": 1})
    assert world.peers[node].of(kinds.CANCEL) == [], "its answer may still be of use"


def test_the_third_attempt_has_the_whole_deadline(world):
    _, peer, _ = ask_one(world)
    world.advance(2.1)
    (third,) = world.holders()
    world.advance(7.5)
    assert world.holders() == [third]
    assert sum(len(p.of(kinds.REQUEST)) for p in world.peers.values()) == 3
    world.advance(0.5)
    assert [frame.status for frame in peer.frames] == [Status.TIMEOUT]


def test_a_change_of_a_key_has_five_seconds(world):
    _, _, node = ask_one(world, opcode=UPDATE)
    world.advance(4.9)
    assert world.holders() == [node]
    world.advance(0.2)
    assert world.holders() != [node]


def test_the_durability_that_a_request_asks_for_goes_with_it_to_every_node(world):
    _, _, node = ask_one(world, opcode=UPDATE, flags=kinds.DURABLE_DR)
    world.lose(node)
    world.advance(0.1)
    (second,) = world.holders()
    assert second is not node
    flags = [frame.flags for peer in (world.peers[node], world.peers[second]) for frame in peer.of(kinds.REQUEST)]
    assert flags == [kinds.DURABLE_DR, kinds.DURABLE_DR]


def test_key_generation_is_left_where_it_is(world):
    _, _, node = ask_one(world, opcode=GENERATE)
    world.advance(59)
    assert world.holders() == [node]
    assert node.errors == 0


def test_a_node_is_charged_once_for_a_request_that_has_nowhere_else_to_go(make_world):
    world = make_world(weights=(1,))
    _, _, node = ask_one(world)
    world.advance(9.9)
    assert world.holders() == [node]
    assert node.errors == 1
    world.advance(0.3)
    assert node.errors == 1, "the end of its deadline is the same time-out"


@pytest.mark.parametrize(
    ("opcode", "timeout_ms", "errors"), [(0x0201, 900, 0), (0x0201, 1_000, 1), (UPDATE, 4_000, 0), (GENERATE, 4_000, 0)]
)
def test_a_deadline_shorter_than_the_documented_time_is_not_the_node_s_fault(make_world, opcode, timeout_ms, errors):
    world = make_world(weights=(1,))
    _, peer, node = ask_one(world, opcode=opcode, timeout_ms=timeout_ms)
    world.advance(5)
    assert [frame.status for frame in peer.frames] == [Status.TIMEOUT]
    assert (node.errors, node.errors_in_a_row) == (errors, errors)


def test_the_proxy_s_own_stall_is_no_part_of_an_attempt(world):
    _, _, node = ask_one(world)
    world.now += 5
    world.dispatcher.forgive(world.now)
    world.dispatcher.tick(world.now)
    assert (world.holders(), node.errors) == ([node], 0)
    world.advance(0.9)
    assert (world.holders(), node.errors) == ([node], 0)
    world.advance(0.2)
    assert world.holders() != [node]
    assert node.errors == 1


def test_a_deadline_that_ran_out_in_the_proxy_s_own_stall_charges_nobody(world):
    _, peer, node = ask_one(world, timeout_ms=3_000)
    world.now += 5
    world.dispatcher.forgive(world.now)
    world.dispatcher.tick(world.now)
    assert [frame.status for frame in peer.frames] == [Status.TIMEOUT]
    assert node.errors == 0


def test_without_budget_a_request_stays_where_it_is_and_goes_on_when_there_is_some(make_world):
    world = make_world(budget_per_s=0.0, budget_share=0.0)
    _, _, node = ask_one(world)
    empty_budget(world)
    world.advance(3)
    assert world.holders() == [node]
    world.dispatcher._budget.tokens = 1.0
    world.advance(0.3)
    assert world.holders() != [node]
    assert world.dispatcher._budget.tokens == 0.0


def test_other_nodes_at_their_windows_are_waited_for(world):
    _, _, node = ask_one(world)
    others = [other for other in world.nodes if other is not node]
    for other in others:
        other.in_flight = other.window
    world.advance(2)
    assert world.holders() == [node]
    others[0].in_flight = 0
    world.advance(0.3)
    assert world.holders() == [others[0]]


# ---- answers that come late ------------------------------------------------------------------------------------------


def late(world):
    """A request whose first node had its time; return its client, peer, that node and the one that has it now."""
    client, peer, first = ask_one(world)
    world.advance(1.1)
    (second,) = world.holders()
    return client, peer, first, second


def test_the_late_answer_of_an_earlier_attempt_is_used_while_the_request_waits(world):
    client, peer, first, second = late(world)
    world.answer(first)
    assert [(frame.request_id, frame.status) for frame in peer.frames] == [(1, Status.OK)]
    assert not client.in_flight
    assert len(world.peers[second].of(kinds.CANCEL)) == 1
    assert world.counters.late_answers == 0


def test_the_other_answer_is_dropped_and_counted(world):
    _, peer, first, second = late(world)
    world.answer(first)
    world.answer(second)
    assert (len(peer.frames), world.counters.late_answers) == (1, 1)
    assert [node.in_flight for node in world.nodes] == [0, 0, 0]


@pytest.mark.parametrize("sanction", ["ejected", "blocked", "probing"])
def test_a_late_answer_of_a_node_under_sanction_is_never_used(world, sanction):
    _, peer, first, second = late(world)
    world.table.impose(first, sanction, "a test", world.now)
    world.answer(first)
    assert (peer.frames, world.counters.late_answers) == ([], 1)
    assert world.holders() == [second]


def test_a_late_answer_that_says_not_here_is_of_no_use(world):
    _, peer, first, second = late(world)
    world.answer(first, status=Status.DEVICE_ERROR)
    assert (peer.frames, world.counters.late_answers) == ([], 1)
    assert world.holders() == [second]


def test_a_late_answer_ends_a_request_that_waits_for_a_node(world):
    client, peer, first, second = late(world)
    empty_budget(world)
    world.answer(second, status=Status.DEVICE_ERROR)
    assert (world.holders(), world.dispatcher.waiting) == ([], 1)
    world.answer(first)
    assert [frame.status for frame in peer.frames] == [Status.OK]
    assert world.dispatcher.waiting == 0
    assert not client.in_flight


# ---- refused by a node -----------------------------------------------------------------------------------------------


def test_a_device_error_counts_against_the_node_when_another_one_serves_the_request(world):
    _, peer, node = ask_one(world)
    world.answer(node, status=Status.DEVICE_ERROR)
    assert node.errors == 0, "it may be the request's own fault"
    (second,) = world.holders()
    world.answer(second, status=Status.MECHANISM_NOT_HERE)
    (third,) = world.holders()
    world.answer(third)
    assert [frame.status for frame in peer.frames] == [Status.OK]
    assert [(n.errors, n.errors_in_a_row) for n in (node, second, third)] == [(1, 1), (0, 0), (0, 0)]
    assert (node.failures, second.failures) == ({"device_error": 1}, {"mechanism_not_here": 1})


@pytest.mark.parametrize("status", [Status.DEVICE_ERROR, Status.RECORD_DAMAGED])
def test_a_request_that_fails_on_every_device_is_held_against_none(world, status):
    _, peer, _ = ask_one(world)
    for _ in world.nodes:
        (node,) = world.holders()
        world.answer(node, status=status)
    assert [frame.status for frame in peer.frames] == [status]
    assert [node.errors for node in world.nodes] == [0, 0, 0]


def test_without_a_second_attempt_a_device_error_counts_at_once(make_world):
    world = make_world(attempts=1)
    _, _, node = ask_one(world)
    world.answer(node, status=Status.DEVICE_ERROR)
    assert (node.errors, node.errors_in_a_row) == (1, 1)


def test_answers_lost_with_their_connection_count_each(world):
    _, _ = fill(world, world.nodes[0], 3)
    world.lose(world.nodes[0])
    assert (world.nodes[0].errors, world.nodes[0].errors_in_a_row) == (3, 1)


def test_a_late_answer_that_is_used_speaks_against_the_device_that_refused(world):
    _, peer, node = ask_one(world)
    world.answer(node, status=Status.DEVICE_ERROR)
    (second,) = world.holders()
    world.advance(1.1)  # its attempt's time is over: the third is asked too
    world.answer(second)
    assert [frame.status for frame in peer.frames] == [Status.OK]
    assert node.errors == 1


@pytest.mark.parametrize("status", [Status.KEY_NOT_FOUND, Status.DENIED, Status.BAD_REQUEST, Status.OVERLOADED])
def test_the_caller_s_own_errors_never_count_and_end_a_row(world, status):
    _, _, node = ask_one(world)
    node.errors_in_a_row = 2
    world.answer(node, status=status)
    assert (node.errors, node.errors_in_a_row) == (0, 0)


def test_the_budget_refuses_and_the_request_waits_for_it(make_world):
    world = make_world(budget_per_s=10.0, budget_share=0.0)
    _, peer, node = ask_one(world)
    empty_budget(world)
    world.answer(node, status=Status.DEVICE_ERROR)
    assert (world.holders(), peer.frames, world.dispatcher.waiting) == ([], [], 1)
    world.advance(0.2)
    assert world.holders() not in ([], [node])


def test_an_attempt_after_the_deadline_is_a_time_out(world):
    _, peer, node = ask_one(world, timeout_ms=200)
    world.now += 0.2
    world.answer(node, status=Status.DEVICE_ERROR)
    assert [frame.status for frame in peer.frames] == [Status.TIMEOUT]


def test_three_attempts_are_all_there_are(make_world):
    world = make_world(weights=(1, 1, 1, 1))
    _, peer, _ = ask_one(world)
    for _ in range(3):
        (node,) = world.holders()
        world.answer(node, status=Status.DEVICE_ERROR)
    assert world.holders() == []
    assert [frame.status for frame in peer.frames] == [Status.DEVICE_ERROR]


def lacks_it(world):
    (node,) = world.holders()
    world.answer(node, status=Status.MECHANISM_NOT_HERE, flags=int(kinds.Flag.NOT_EXECUTED))
    return node


def test_a_node_that_lacks_the_mechanism_costs_neither_an_attempt_nor_budget(make_world):
    world = make_world(weights=(1, 1, 1, 1), budget_per_s=0.0, budget_share=0.0)
    _, peer, _ = ask_one(world)
    empty_budget(world)
    lacking = [lacks_it(world) for _ in range(3)]
    (last,) = world.holders()
    world.answer(last)
    assert [frame.status for frame in peer.frames] == [Status.OK]
    assert [(node.errors, node.errors_in_a_row) for node in lacking] == [(0, 0)] * 3


def test_what_no_node_has_is_refused_once_all_were_asked(make_world):
    world = make_world(weights=(1, 1, 1, 1))
    _, peer, _ = ask_one(world)
    asked = {lacks_it(world).name for _ in world.nodes}
    assert len(asked) == 4
    assert [frame.status for frame in peer.frames] == [Status.MECHANISM_NOT_HERE]


def test_after_a_node_that_lacks_it_a_device_s_error_costs_as_ever(make_world):
    world = make_world(weights=(1, 1, 1, 1), budget_per_s=0.0, budget_share=0.0)
    _, peer, _ = ask_one(world)
    lacks_it(world)
    empty_budget(world)
    (node,) = world.holders()
    world.answer(node, status=Status.DEVICE_ERROR)
    assert (world.holders(), peer.frames, world.dispatcher.waiting) == ([], [], 1)


def test_a_loss_after_three_attempts_is_unavailable(world):
    _, peer, _ = ask_one(world)
    for _ in range(2):
        world.answer(world.holders()[0], status=Status.DEVICE_ERROR)
    world.lose(world.holders()[0], abnormal=False)
    (answer,) = peer.frames
    assert answer.status == Status.UNAVAILABLE
    assert not answer.flags & kinds.Flag.NOT_EXECUTED


# ---- paths -----------------------------------------------------------------------------------------------------------


class TwoPaths:
    """Two nodes with two paths each; requests of node 0 are on its first path."""

    def __init__(self, make_world, count=4):
        self.world = world = make_world(weights=(1, 1), uplinks="ab")
        self.node = world.nodes[0]
        self.second = Link(self.node.paths[1], type(world.peers[self.node])().sink)
        world.table.path_up(self.second, world.now)
        world.nodes[1].in_flight = world.nodes[1].window  # so that all goes to node 0
        self.client, self.peer = world.client()
        for request_id in range(1, count + 1):
            world.ask(self.client, request_id)
        world.nodes[1].in_flight = 0
        self.first = world.links[self.node]
        assert len(self.first.in_flight) == count

    def lose_first(self, *, node_lost=False):
        self.node.paths[0].link = None
        self.world.table.path_down(self.node.paths[0], "cut", self.world.now)
        self.world.dispatcher.link_lost(self.first, node_lost=node_lost, abnormal=True, now=self.world.now)


def test_a_lost_path_moves_requests_to_the_other_path_of_the_same_node(make_world):
    two = TwoPaths(make_world)
    two.lose_first()
    assert len(two.second.in_flight) == 4
    assert two.node.in_flight == 4
    assert [request.attempts for request in two.client.in_flight.values()] == [1, 1, 1, 1]
    assert (two.world.counters.path_moves, two.world.counters.failovers, two.node.suspects) == (4, 0, 0)


def test_not_if_the_node_is_in_maintain(make_world):
    two = TwoPaths(make_world)
    two.world.table.move(two.node, two.world.now, "", operational="up", administrative="maintain")
    two.lose_first()
    assert not two.second.in_flight
    assert len(two.world.links[two.world.nodes[1]].in_flight) == 4
    assert two.world.counters.path_moves == 0


def test_paths_that_flap_send_a_request_to_another_node_in_the_end(make_world):
    two = TwoPaths(make_world, count=1)
    (request,) = two.client.in_flight.values()
    request.moves = MAX_MOVES
    two.lose_first()
    assert request.link.node is two.world.nodes[1]
    assert two.world.counters.failovers == 1


def test_answers_owed_by_a_lost_link_are_not_waited_for(world):
    _, _, first, second = late(world)
    assert isinstance(next(iter(world.links[first].in_flight.values())), Owed)
    world.lose(first)
    assert first.in_flight == 0
    world.answer(second)
    world.advance(31)
    assert world.counters.forgotten_answers == 0


def test_a_node_lost_with_nothing_in_flight_is_no_error(world):
    world.lose(world.nodes[0])
    assert world.nodes[0].errors_in_a_row == 0


# ---- poison ----------------------------------------------------------------------------------------------------------


def fill(world, node, count):
    """Put that many requests on one node; return client and peer."""
    client, peer = world.client()
    rest = [other for other in world.nodes if other is not node]
    for other in rest:
        other.in_flight += other.window
    for request_id in range(1, count + 1):
        world.ask(client, request_id)
    for other in rest:
        other.in_flight -= other.window
    return client, peer


def test_the_first_loss_makes_suspects_and_a_node_gets_one_at_a_time(world):
    client, peer = fill(world, world.nodes[0], 5)
    world.lose(world.nodes[0])
    assert [len(request.losses) for request in client.in_flight.values()] == [1] * 5
    assert [node.suspects for node in world.nodes] == [0, 1, 1]
    assert world.dispatcher.waiting == 3
    world.answer(world.nodes[1])
    assert [node.suspects for node in world.nodes] == [0, 1, 1]
    assert world.dispatcher.waiting == 2
    for _ in range(4):
        world.answer(next(node for node in world.nodes if node.suspects))
    assert [frame.status for frame in peer.frames] == [Status.OK] * 5


def test_suspects_go_to_another_site_where_there_is_one(make_world):
    for seed in range(10):
        world = make_world(weights=(1, 1, 1, 1), sites="aaab", seed=seed)
        fill(world, world.nodes[0], 1)
        world.lose(world.nodes[0])
        assert world.holders() == [world.nodes[3]]


def test_a_site_that_goes_down_node_by_node_makes_nobody_guilty(make_world):
    for seed in range(10):
        world = make_world(sites="aab", seed=seed)
        first, second, elsewhere = world.nodes
        _, peer = fill(world, first, 5)
        world.lose(first)
        assert world.holders() == [elsewhere], "the others wait for their turn there"
        world.lose(second)
        for _ in range(5):
            world.answer(elsewhere)
        world.advance(0.5)
        assert [frame.status for frame in peer.frames] == [Status.OK] * 5
        assert world.counters.poisoned == 0


def test_suspects_go_to_their_own_site_when_no_other_one_serves(make_world):
    world = make_world(sites="aab")
    first, second, elsewhere = world.nodes
    world.lose(elsewhere)
    fill(world, first, 1)
    world.lose(first)
    assert world.holders() == [second]


def test_a_suspect_is_not_sent_to_a_third_node_while_it_is_slow(world):
    fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    (holder,) = world.holders()
    world.advance(5)
    assert world.holders() == [holder]


def test_the_second_loss_holds_a_request_for_a_verdict(world):
    _, peer = fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    world.lose(world.holders()[0])
    world.advance(0.2)
    assert (world.holders(), peer.frames, world.dispatcher.waiting) == ([], [], 1)
    world.advance(0.1)
    assert [frame.status for frame in peer.frames] == [Status.POISON]


def test_an_acquitted_request_goes_on_as_a_suspect(make_world):
    world = make_world(weights=(1, 1, 1, 1))
    client, peer = fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    second = world.holders()[0]
    third = other_than(world, world.nodes[0], second)
    world.lose(second)
    world.lose(third)
    world.advance(0.35)
    (holder,) = world.holders()
    assert holder not in (world.nodes[0], second, third)
    assert (len(client.in_flight[1].losses), holder.suspects, world.counters.poisoned) == (1, 1, 0)
    world.answer(holder)
    assert [frame.status for frame in peer.frames] == [Status.OK]


def test_a_power_cut_of_all_nodes_poisons_nobody(make_world):
    world = make_world(no_node_wait_s=5.0)
    client, peer = fill(world, world.nodes[0], 3)
    for node in world.nodes:
        world.lose(node)
    world.advance(1)
    assert (world.counters.poisoned, peer.frames) == (0, [])
    for node in world.nodes:
        world.bring_up(node)
    world.advance(0.1)
    for _ in range(3):
        world.answer(world.holders()[0])
    assert [frame.status for frame in peer.frames] == [Status.OK] * 3
    assert not client.in_flight


def test_a_verdict_of_an_empty_rotation_is_an_acquittal(make_world):
    world = make_world(weights=(1, 1), no_node_wait_s=5.0)
    _, peer = fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    world.lose(world.nodes[1])
    world.advance(0.4)
    assert (world.counters.poisoned, peer.frames, world.dispatcher.waiting) == (0, [], 1)


def test_an_end_in_order_makes_nobody_a_suspect(world):
    client, _ = fill(world, world.nodes[0], 5)
    world.lose(world.nodes[0], abnormal=False)
    assert [len(request.losses) for request in client.in_flight.values()] == [0] * 5
    assert world.dispatcher.waiting == 0


def test_what_never_reached_a_node_that_fell_silent_is_not_suspected_of_it(world):
    client, _ = fill(world, world.nodes[0], 2)
    world.advance(0.1)
    world.links[world.nodes[0]].arrived_until = world.now - 0.1
    for late in list(client.in_flight.values())[1:]:
        late.sent_at = world.now - 0.05
    world.lose(world.nodes[0])
    assert [len(request.losses) for request in client.in_flight.values()] == [1, 0], "the second was sent after the cut"


def test_a_machine_that_vanishes_and_a_process_that_dies_are_not_the_work_of_one_request(make_world):
    """A way that is cut and a node that is killed a moment later: two causes, and no request has both."""
    world = make_world(weights=(1, 1, 1, 1))
    _, peer = fill(world, world.nodes[0], 1)
    world.advance(0.1)
    world.links[world.nodes[0]].arrived_until = world.now - 0.05
    world.lose(world.nodes[0])
    world.lose(world.holders()[0])
    world.advance(0.5)
    assert world.counters.poisoned == 0
    world.answer(world.holders()[0])
    assert [frame.status for frame in peer.frames] == [Status.OK]


def test_a_process_that_hangs_and_one_that_dies_are_not_the_work_of_one_request(make_world):
    """A node that was stopped and one that is killed a moment later."""
    world = make_world(weights=(1, 1, 1, 1))
    _, peer = fill(world, world.nodes[0], 1)
    world.advance(0.1)
    world.links[world.nodes[0]].arrived_until = world.now
    world.lose(world.nodes[0])
    world.lose(world.holders()[0])
    world.advance(0.5)
    assert world.counters.poisoned == 0
    world.answer(world.holders()[0])
    assert [frame.status for frame in peer.frames] == [Status.OK]


def test_a_request_that_makes_two_processes_hang_is_guilty(make_world):
    world = make_world(weights=(1, 1, 1, 1))
    _, peer = fill(world, world.nodes[0], 1)
    for _ in range(2):
        world.advance(0.1)
        world.links[world.holders()[0]].arrived_until = world.now
        world.lose(world.holders()[0])
    world.advance(0.5)
    assert [frame.status for frame in peer.frames] == [Status.POISON]


def test_a_request_that_takes_two_machines_is_guilty(make_world):
    world = make_world(weights=(1, 1, 1, 1))
    _, peer = fill(world, world.nodes[0], 1)
    for _ in range(2):
        world.advance(0.1)
        world.links[world.holders()[0]].arrived_until = world.now - 0.05
        world.lose(world.holders()[0])
    world.advance(0.5)
    assert [frame.status for frame in peer.frames] == [Status.POISON]


def test_a_site_that_is_cut_off_makes_nobody_guilty_of_its_nodes(make_world):
    """The proxy sends on what it had at one unreachable node to the next, before it can know that it is another."""
    world = make_world(weights=(1, 1, 1), sites="abc", attempts=3)
    first, second, here = world.nodes
    _, peer = fill(world, first, 1)
    here.in_flight += here.window
    for node in (first, second):
        world.advance(1.0)
        # It had arrived at the first one when that fell silent; at the second it came too late.
        world.links[node].arrived_until = world.now if node is first else world.now - 1.1
        world.lose(node)
    here.in_flight -= here.window
    world.dispatcher.pump(world.now)
    world.advance(0.5)
    assert world.holders() == [here]
    world.answer(here)
    assert [frame.status for frame in peer.frames] == [Status.OK]
    assert world.counters.poisoned == 0


def test_a_request_held_for_a_verdict_can_be_cancelled_and_its_client_may_go(world):
    client, peer = fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    world.lose(world.holders()[0])
    world.dispatcher.cancel(client, 1, world.now)
    assert [frame.status for frame in peer.frames] == [Status.CANCELLED]
    world.advance(1)
    assert len(peer.frames) == 1
    assert world.counters.poisoned == 0


# ---- evacuation ------------------------------------------------------------------------------------------------------


def test_everything_is_moved_away_from_a_useless_node(world):
    client, peer = fill(world, world.nodes[0], 2)
    others = world.nodes[1:]
    for other in others:
        other.in_flight += other.window
    world.ask(client, 3, opcode=GENERATE)
    for other in others:
        other.in_flight -= other.window
    node = world.nodes[0]
    world.table.impose(node, "blocked", "a test", world.now)
    world.dispatcher.failover.evacuate(node, "blocked", world.now)
    world.dispatcher.pump(world.now)
    assert requests_at(world, node) == []
    moved = [request for other in others for request in requests_at(world, other)]
    assert [(request.frame.opcode, len(request.losses)) for request in moved if request.frame.opcode == GENERATE] == [
        (GENERATE, 0)
    ], "key generation is not under suspicion: it says nothing of a node's health"
    assert len(moved) == 3
    assert (node.failures, node.in_flight) == ({"blocked": 3}, 2), "the node still works on them"
    assert peer.frames == []


def test_nothing_is_suspected_of_a_node_s_wrong_signatures(world):
    fill(world, world.nodes[0], 2)
    node = world.nodes[0]
    world.table.impose(node, "ejected", "a test", world.now)
    world.dispatcher.failover.evacuate(node, WRONG_SIGNATURE, world.now)
    moved = [request for other in world.nodes[1:] for request in requests_at(world, other)]
    assert [len(request.losses) for request in moved] == [0, 0]


# ---- order and bounds ------------------------------------------------------------------------------------------------


def test_requests_that_lost_a_node_go_before_those_that_are_new(make_world):
    world = make_world(weights=(1, 1), window=1)
    client, _ = world.client()
    for request_id in (1, 2, 3):
        world.ask(client, request_id)
    first = world.nodes[0]
    world.lose(first, abnormal=False)
    world.answer(world.nodes[1])
    (request,) = requests_at(world, world.nodes[1])
    assert request.client_id != 3


def test_all_of_many_requests_that_wait_are_served_in_the_end(make_world):
    world = make_world(weights=(1, 1), window=40)
    _, peer = fill(world, world.nodes[0], 40)
    world.nodes[1].in_flight = 40
    world.lose(world.nodes[0], abnormal=False)
    assert world.dispatcher.waiting == 40
    world.nodes[1].in_flight = 0
    world.advance(0.1)
    while world.holders():
        world.answer(world.nodes[1])
    assert [frame.status for frame in peer.frames] == [Status.OK] * 40


def test_an_acquitted_request_that_has_had_its_attempts_is_unavailable_and_not_poison(make_world):
    world = make_world(weights=(1, 1, 1, 1), attempts=2)
    client, peer = fill(world, world.nodes[0], 1)
    world.lose(world.nodes[0])
    second = world.holders()[0]
    world.lose(second)
    world.lose(other_than(world, world.nodes[0], second))
    world.advance(0.35)
    assert [frame.status for frame in peer.frames] == [Status.UNAVAILABLE]
    assert not peer.frames[0].flags & kinds.Flag.NOT_EXECUTED
    assert (world.counters.poisoned, dict(client.in_flight)) == (0, {})


def test_a_key_generation_under_suspicion_keeps_nobody_waiting_and_runs_beside_no_suspect(world):
    client, _ = world.client()
    others = world.nodes[1:]
    for other in others:
        other.in_flight += other.window
    world.ask(client, 1, opcode=GENERATE)
    world.ask(client, 2)
    world.ask(client, 3)
    for other in others:
        other.in_flight -= other.window
    world.lose(world.nodes[0])
    assert [len(requests_at(world, other)) for other in others] == [1, 1]
    assert client.in_flight[1].link is None
    world.answer(others[0])
    assert client.in_flight[1].link.node is others[0]
    assert others[0].suspects == 0


# ---- without the store ----------------------------------------------------------------------------------------------


def test_a_node_that_found_out_late_that_the_store_is_away_leaves_the_others_the_rest_of_a_second(world):
    _, peer, node = ask_one(world)
    world.advance(0.8)
    world.answer(node, status=Status.STORE_UNAVAILABLE)
    (second,) = world.holders()
    world.advance(0.05)
    assert peer.frames == []
    world.advance(0.1)
    assert [frame.status for frame in peer.frames] == [Status.STORE_UNAVAILABLE]
    assert not peer.frames[0].flags & kinds.Flag.NOT_EXECUTED
    assert second.errors == 0
    world.answer(second)
    assert (len(peer.frames), world.counters.late_answers) == (1, 1)


def test_a_node_that_has_the_store_does_what_another_one_could_not(world):
    _, peer, node = ask_one(world)
    world.advance(0.8)
    world.answer(node, status=Status.STORE_UNAVAILABLE)
    world.advance(0.02)
    world.answer(world.holders()[0])
    assert [frame.status for frame in peer.frames] == [Status.OK]


def test_nobody_else_is_asked_once_a_second_is_nearly_over(world):
    _, peer, node = ask_one(world)
    world.advance(0.95)
    world.answer(node, status=Status.STORE_UNAVAILABLE, flags=kinds.Flag.NOT_EXECUTED)
    assert [frame.status for frame in peer.frames] == [Status.STORE_UNAVAILABLE]
    assert peer.frames[0].flags & kinds.Flag.NOT_EXECUTED
    assert world.holders() == []


def test_what_waits_for_room_after_a_node_without_store_is_told_within_a_second(world):
    _, peer, node = ask_one(world)
    empty_budget(world)
    world.answer(node, status=Status.STORE_UNAVAILABLE, flags=kinds.Flag.NOT_EXECUTED)
    assert (world.holders(), world.dispatcher.waiting) == ([], 1)
    world.advance(0.95)
    assert [frame.status for frame in peer.frames] == [Status.STORE_UNAVAILABLE]
