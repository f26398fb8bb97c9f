"""All checks of one node together: what takes it out, for how long, and what brings it back."""

from itertools import pairwise

import pytest

from hsm_wire import kinds
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

CHECK, GENERATE = int(Opcode.CHECK), int(Opcode.GENERATE_KEY)


@pytest.fixture
def it(watched):
    """The world, its first node, and how that node behaves."""
    node = watched.nodes[0]
    return watched, node, watched.machines[node]


def serves(world, node):
    return node in world.table.rotation


def busy(world, count=30, **more):
    client, peer = world.client()
    for request_id in range(1, count + 1):
        world.ask(client, request_id, **more)
    return client, peer


def only(world, node):
    """Leave that node alone in rotation: the others are down."""
    for other in world.nodes:
        if other is not node:
            world.machines[other].reachable = False
            world.crash(other)


# ---- deep checks ---------------------------------------------------------------------------------------------------


def test_each_node_is_deep_checked_at_the_start_and_every_ten_seconds(it):
    world, node, _ = it
    world.advance(0.2)
    assert world.checks(node) == 1
    world.advance(60)
    assert world.checks(node) in (6, 7, 8), "10 s less a tenth, as chance has it"


def test_deep_checks_can_be_turned_off(make_watched):
    world = make_watched(deep_interval_s=0.0)
    world.advance(30)
    assert [world.checks(node) for node in world.nodes] == [0, 0, 0]


def test_two_failed_deep_checks_take_a_node_out_one_does_not(it):
    world, node, machine = it
    world.advance(1)
    machine.check_status = Status.DEVICE_ERROR
    before = world.checks(node)
    world.until(lambda: world.checks(node) == before + 1, 11)
    world.advance(0.05)
    assert serves(world, node)
    assert world.until(lambda: not serves(world, node), 12) <= 1.1, "the next one comes after a second"
    assert (node.operational, node.reason) == ("ejected", "2 deep checks failed")
    assert world.counters.sanctions == {("n0", "deep_check"): 1}


def test_a_node_that_answers_ping_and_never_a_deep_check_is_out_within_its_time(it):
    world, node, machine = it
    world.advance(1)
    machine.works = False
    took = world.until(lambda: not serves(world, node), 16)
    assert took <= 10 + 2 + 1 + 2 + 0.2


def test_one_wrong_signature_takes_a_node_out_and_its_requests_move(it):
    world, node, machine = it
    world.advance(1)
    machine.wrong = True
    world.until(lambda: world.now - 100 > 9)
    _, peer = busy(world)
    assert node.in_flight
    world.until(lambda: not serves(world, node), 3)
    assert (node.operational, node.reason) == ("ejected", "a signature of its deep check is wrong")
    assert peer.frames == []
    world.advance(0.5)
    requests = sum(len(other.link.in_flight) for other in world.nodes[1:])
    assert requests >= 20


def test_another_key_in_the_same_boot_takes_a_node_out(it):
    world, node, machine = it
    world.advance(1)
    machine.public_key = b"\x05" * 65
    world.until(lambda: not serves(world, node), 11)
    assert world.counters.sanctions == {("n0", "wrong_signature"): 1}


def test_a_node_that_does_not_know_the_check_serves_all_the_same(it):
    world, node, machine = it
    machine.check_status = Status.UNKNOWN_OPERATION
    world.advance(40)
    assert serves(world, node)


@pytest.mark.parametrize("wrong", ["status", "signature", "silence"])
def test_a_deep_check_never_takes_the_last_node(it, wrong):
    world, node, machine = it
    only(world, node)
    machine.check_status = Status.DEVICE_ERROR if wrong == "status" else Status.OK
    machine.wrong = wrong == "signature"
    machine.works = wrong != "silence"
    world.advance(60)
    assert serves(world, node)
    assert world.counters.sanctions == {}


def test_deep_checks_come_every_second_while_a_request_is_overdue(it):
    world, node, machine = it
    world.advance(1)
    before = world.checks(node)
    world.until(lambda: world.now > 103)
    busy(world, 30, timeout_ms=60_000, opcode=int(Opcode.UPDATE_KEY))
    for _ in range(14):
        machine.completed += 1  # it goes on, slowly
        world.advance(0.25)
    assert world.checks(node) - before in (2, 3, 4)


def test_a_node_in_maintain_is_left_alone_by_deep_checks(it):
    world, node, machine = it
    machine.administrative = "maintain"
    world.advance(2)
    before = world.checks(node)
    world.advance(30)
    assert world.checks(node) == before
    machine.administrative = "ready"
    world.advance(2)
    assert world.checks(node) == before + 1


def asked_of(world, node):
    """What a node was sent but PINGs."""
    return [frame for link, frame in world.every if link.node is node and frame.kind != kinds.PING]


def test_an_ejected_node_in_maintain_gets_nothing_but_pings_and_its_probe_when_it_is_ready_again(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    machine.administrative = "maintain"
    world.until(lambda: node.administrative == "maintain", 1.2)
    before, pings = len(asked_of(world, node)), len(world.of(node, kinds.PING))
    world.advance(60)
    assert len(asked_of(world, node)) == before
    assert len(world.of(node, kinds.PING)) > pings
    assert (node.operational, node.administrative) == ("ejected", "maintain")
    machine.administrative = "ready"
    world.until(lambda: serves(world, node), 3)
    assert {frame.opcode for frame in asked_of(world, node)[before:]} == {CHECK}


def test_a_probe_that_was_lost_with_its_link_is_not_asked_again_in_maintain(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    machine.works = False
    world.until(lambda: node.operational == "probing", 3)
    machine.administrative = "maintain"
    world.crash(node)
    before = len(asked_of(world, node))
    world.until(lambda: node.link is not None)
    world.advance(10)
    assert node.administrative == "maintain"
    assert len(asked_of(world, node)) == before


def test_not_even_without_any_node_is_one_in_maintain_probed(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    machine.administrative = "maintain"
    world.until(lambda: node.administrative == "maintain", 1.2)
    only(world, node)
    before = len(asked_of(world, node))
    world.advance(10)
    assert not world.table.rotation
    assert len(asked_of(world, node)) == before


def test_a_node_in_drain_answers_what_it_has_and_gets_nothing_new(it):
    world, node, machine = it
    machine.administrative = "drain"
    world.advance(1.5)
    busy(world)
    assert world.of(node) == []
    assert node.operational == "up"
    machine.administrative = "ready"
    world.advance(1.5)
    assert serves(world, node)


def test_nothing_is_asked_deeply_of_a_node_that_says_goaway(it):
    world, node, _ = it
    world.advance(1)
    before = world.checks(node)
    world.supervisor.going_away(node.link, world.now)
    world.advance(30)
    assert world.checks(node) == before


# ---- alive but blocked -----------------------------------------------------------------------------------------------


def test_a_node_that_answers_ping_and_finishes_nothing_is_blocked_within_a_second(it):
    world, node, _ = it
    world.advance(1)
    for other in world.nodes:
        world.machines[other].completed = 5
    _, peer = busy(world)
    for _ in range(40):
        for other in world.nodes[1:]:
            world.machines[other].completed += 1
        world.advance(0.025)
    assert (node.operational, node.reason) == ("blocked", "it answers PING and finishes nothing")
    assert world.counters.sanctions == {("n0", "blocked"): 1}
    assert peer.frames == []
    assert all(serves(world, other) for other in world.nodes[1:])


def test_nodes_whose_store_is_away_are_not_taken_for_blocked_while_requests_wait_for_it(it):
    world, _, _ = it
    world.advance(1)
    for machine in world.machines.values():
        machine.store = {"lag_ms": 500}
    busy(world, timeout_ms=60_000)
    world.advance(3)
    assert len(world.table.rotation) == 3
    assert world.counters.sanctions == {}
    for machine in world.machines.values():
        machine.store = {"lag_ms": 200}
    world.until(lambda: len(world.table.rotation) == 1, 2.0)


def test_a_blocked_node_s_requests_are_cancelled_there_and_move(it):
    world, _, _ = it
    world.advance(1)
    client, _ = world.client()
    world.ask(client, 1)
    holder = world.holders()[0]
    world.until(lambda: not serves(world, holder), 1.5)
    assert len(world.of(holder, kinds.CANCEL)) == 1
    (holder_now,) = [n for n in world.nodes if any(r is client.in_flight[1] for r in n.link.in_flight.values())]
    assert holder_now is not holder


def test_a_node_that_only_generates_keys_is_not_blocked(it):
    world, node, _ = it
    world.advance(1)
    busy(world, 30, opcode=GENERATE)
    world.advance(20)
    assert len(world.table.rotation) == 3
    assert node.in_flight == 0
    assert world.counters.failovers == 0


def test_the_last_node_is_not_taken_out_as_blocked(it):
    world, node, _ = it
    only(world, node)
    busy(world, 5, timeout_ms=60_000)
    world.advance(10)
    assert serves(world, node)


# ---- passive ejection ------------------------------------------------------------------------------------------------


def fail(node, times):
    node.errors += times
    node.errors_in_a_row += times


def test_three_errors_in_a_row_eject_a_node_at_once(it):
    world, node, _ = it
    world.advance(1)
    fail(node, 2)
    world.advance(0.05)
    assert serves(world, node)
    fail(node, 1)
    world.advance(0.03)
    assert (node.operational, node.reason) == ("ejected", "3 errors in a row")
    assert world.counters.sanctions == {("n0", "errors"): 1}


def test_what_an_ejected_node_has_it_may_still_answer(it):
    world, node, _ = it
    world.advance(1)
    _, peer = busy(world)
    world.links[node] = node.link
    held = list(node.link.in_flight)
    fail(node, 3)
    world.advance(0.05)
    assert list(node.link.in_flight)[: len(held)] == held
    for link_id in held:
        world.answer(node, link_id)
    assert [frame.status for frame in peer.frames] == [Status.OK] * len(held)


def test_all_but_one_may_be_ejected_and_never_the_last(it):
    world, _, _ = it
    world.advance(1)
    for machine in world.machines.values():
        machine.check_status = Status.DEVICE_ERROR
    for node in world.nodes:
        fail(node, 3)
    world.advance(5)
    assert len(world.table.rotation) == 1


def test_an_ejected_node_comes_back_by_a_check_and_not_by_a_client_s_request(it):
    world, node, _ = it
    world.advance(12)
    fail(node, 3)
    world.advance(0.05)
    before = world.checks(node)
    busy(world)
    assert world.of(node) == []
    took = world.until(lambda: serves(world, node), 3)
    assert took == pytest.approx(1.25, abs=0.15), "1 s, longer by chance's half of a half, and a probe"
    assert world.checks(node) == before + 1
    order = [frame.opcode for link, frame in world.every if link.node is node and frame.kind == kinds.REQUEST]
    assert order[: before + 1] == [CHECK] * (before + 1), "a client's request comes after the check"


def test_while_its_probe_runs_a_node_is_probing(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    machine.works = False
    world.until(lambda: node.operational == "probing", 3)
    assert node.reason == "probed after: 3 errors in a row"
    assert not serves(world, node)


def test_a_node_whose_probes_fail_stays_out_for_longer_each_time(it):
    world, node, machine = it
    world.advance(1)
    machine.check_status = Status.DEVICE_ERROR
    fail(node, 3)
    world.advance(0.05)
    times, before = [], world.now
    for _ in range(8):
        asked = world.checks(node)
        world.until(lambda asked=asked: world.checks(node) > asked)
        times.append(world.now - before)
        before = world.now
        world.until(lambda: node.operational == "ejected")
    assert node.reason == "its probe failed"
    assert times == pytest.approx([1.25, 2.5, 5, 10, 20, 40, 75, 75], abs=0.2)


def test_a_node_that_came_back_starts_slowly(it):
    world, node, _ = it
    world.advance(12)
    fail(node, 3)
    world.advance(0.1)
    world.until(lambda: serves(world, node))
    assert node.share < 0.12


def test_a_restarted_node_is_probed_at_once(it):
    world, node, machine = it
    world.advance(1)
    machine.check_status = Status.DEVICE_ERROR
    fail(node, 3)
    world.advance(20)
    machine.check_status, machine.boot_id, machine.public_key = Status.OK, b"boot-2", b"\x06" * 65
    assert world.until(lambda: serves(world, node)) <= 1.3, "by the next PONG"


def test_a_question_lost_with_its_link_is_asked_again(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    machine.works = False
    world.until(lambda: node.operational == "probing", 3)
    world.crash(node)
    machine.works = True
    world.until(lambda: serves(world, node), 3)


# ---- no node in rotation ---------------------------------------------------------------------------------------------


def test_without_any_node_an_ejected_one_is_probed_at_once(it):
    world, node, machine = it
    world.advance(1)
    machine.check_status = Status.DEVICE_ERROR
    fail(node, 3)
    world.advance(30)
    assert not serves(world, node)
    machine.check_status = Status.OK
    only(world, node)
    assert world.until(lambda: serves(world, node)) <= 0.3
    assert node.share == 1.0, "slow start is ignored: nobody can take its part"


def test_probes_of_a_hurry_keep_a_beat_and_make_no_ejection_longer(it):
    world, node, machine = it
    world.advance(1)
    machine.check_status = Status.DEVICE_ERROR
    fail(node, 3)
    world.advance(0.1)
    only(world, node)
    before = world.checks(node)
    world.advance(10)
    assert 30 <= world.checks(node) - before <= 41
    machine.check_status = Status.OK
    assert world.until(lambda: serves(world, node)) <= 0.3
    fail(node, 3)
    for other in world.nodes[1:]:
        world.machines[other].reachable = True
    world.until(lambda: not serves(world, node))
    assert world.until(lambda: serves(world, node)) <= 2.7


def test_without_any_node_paths_are_tried_four_times_a_second_and_one_answer_is_enough(it):
    world, _, _ = it
    for node in world.nodes:
        world.machines[node].reachable = False
        world.crash(node)
    world.advance(30)
    before = len(world.asked_for)
    world.advance(5)
    assert 3 * 15 <= len(world.asked_for) - before <= 3 * 21
    for machine in world.machines.values():
        machine.reachable = True
    assert world.until(lambda: world.table.rotation) <= 0.4


# ---- links -----------------------------------------------------------------------------------------------------------


def test_a_dead_node_s_requests_go_elsewhere_when_its_links_break(it):
    world, node, _ = it
    world.advance(1)
    _, peer = busy(world, 3)
    world.crash(node)
    world.advance(0.1)
    assert not serves(world, node)
    assert peer.frames == []
    assert sum(len(other.link.in_flight) for other in world.nodes[1:]) >= 3


def test_a_silent_node_is_out_in_a_second_and_its_requests_move(it):
    world, node, machine = it
    world.advance(12.5)
    machine.alive = False
    busy(world)
    for other in world.nodes[1:]:
        world.machines[other].completed += 100
    assert world.until(lambda: not serves(world, node), 3) <= 1.1
    assert node.in_flight == 0
    assert {reason for link, reason in world.closed if link.node is node and not link.bulk} <= {
        "no answer for 0.5 s to a PING after silence"
    }


def test_a_node_that_owes_nothing_and_answers_no_check_is_out_after_three(it):
    world, node, machine = it
    world.advance(1)
    machine.alive = False
    took = world.until(lambda: not serves(world, node), 5)
    assert took <= 1.0 + 3 * 0.5 + 2 * 0.3 + 0.2
    assert (node.link, node.operational) == (None, "down")


def test_a_path_that_dies_is_replaced_by_the_other_and_the_node_stays(make_watched):
    world = make_watched(weights=(1, 1), uplinks="ab")
    world.advance(1)
    node = world.nodes[0]
    machine = world.machines[node]
    client, _ = busy(world, 20)
    first, second = node.paths
    held = len(first.link.in_flight)
    attempts = [request.attempts for request in client.in_flight.values()]
    machine.cut.add(first)
    for _ in range(28):  # it works on, and the others too
        for other in world.machines.values():
            other.completed += 1
        world.advance(0.025)
    assert serves(world, node)
    assert (first.up, second.up, node.link) == (False, True, second.link)
    assert first.reason == "silent while another path answers"
    assert world.counters.path_moves == held
    assert [request.attempts for request in client.in_flight.values()] == attempts
    assert world.counters.failovers == 0


def test_the_bulk_link_of_a_path_goes_with_its_main_link(it):
    world, node, _ = it
    world.advance(1)
    path = node.paths[0]
    bulk = path.bulk
    world.supervisor.link_lost(path.link, "reset", world.now)
    assert (path.bulk, [link for link, _ in world.closed]) == (None, [bulk])


def test_a_bulk_link_that_ends_moves_its_requests_to_the_main_one_and_is_opened_again(it):
    world, node, _ = it
    world.advance(1)
    client, _ = busy(world, 30, body=bytes(20 << 10))
    path = node.paths[0]
    bulk, held = path.bulk, len(path.bulk.in_flight)
    assert held > 0
    world.supervisor.link_lost(bulk, "reset", world.now)
    world.supervisor.link_lost(bulk, "told twice", world.now)
    assert (path.bulk, node.bulk) == (None, path.link)
    assert len([r for r in path.link.in_flight.values() if r in client.in_flight.values()]) == held
    assert world.counters.path_moves == held
    world.advance(0.3)
    assert path.bulk is not None
    assert path.bulk is not bulk
    assert serves(world, node)


def test_a_bulk_link_that_cannot_be_opened_is_tried_every_two_seconds_and_is_no_fault(it):
    world, node, machine = it
    world.advance(1)
    machine.reachable = False
    world.supervisor.link_lost(node.paths[0].bulk, "reset", world.now)
    before = len(world.asked_for)
    world.advance(10)
    assert 4 <= len(world.asked_for) - before <= 6
    assert all(bulk for _, bulk in world.asked_for[before:])
    assert serves(world, node)
    assert node.bulk is node.link


def test_a_bulk_link_that_opens_after_its_path_went_down_is_closed(it):
    world, node, _ = it
    world.advance(1)
    path = node.paths[0]
    world.crash(node)
    late = world.open(path, bulk=True)
    world.supervisor.pong(late, node.pings.sent, world.pong_of(node), world.now)
    assert world.closed[-1] == (late, "its path went down meanwhile")
    assert path.bulk is None


def test_nothing_is_sent_over_a_bulk_link_before_a_pong_came_over_it(it):
    world, node, _ = it
    world.advance(1)
    path = node.paths[0]
    world.supervisor.link_lost(path.bulk, "reset", world.now)
    world.supervisor._watches[node].paths[path].bulk_opening = True
    silent = world.open(path, bulk=True)
    late = world.open(path, bulk=True)
    assert world.closed[-1] == (late, "another attempt was faster")
    world.frames.clear()
    assert node.bulk is node.link
    world.advance(0.4)
    assert node.bulk is node.link
    world.advance(0.2)
    assert (silent, "it does not answer its check") in world.closed
    world.until(lambda: node.bulk is not node.link)
    assert node.bulk is not silent


def test_a_bulk_link_that_is_lost_before_its_pong_is_tried_again(it):
    world, node, _ = it
    world.advance(1)
    path = node.paths[0]
    world.supervisor.link_lost(path.bulk, "reset", world.now)
    world.supervisor.link_lost(world.open(path, bulk=True), "reset", world.now)
    assert serves(world, node)
    world.until(lambda: node.bulk is not node.link)


def test_a_pong_over_a_bulk_link_or_an_old_one_is_no_check_of_the_path(it):
    world, node, _ = it
    world.advance(1)
    old = node.link
    world.supervisor.pong(node.paths[0].bulk, 1, world.pong_of(node), world.now)
    world.crash(node)
    world.supervisor.pong(old, 1, world.pong_of(node), world.now)
    assert not serves(world, node)


def test_a_path_whose_node_said_goaway_does_not_come_up_by_an_answer(it):
    world, node, _ = it
    world.machines[node].alive = False
    world.crash(node)
    world.advance(0.3)
    link = node.paths[0].link
    world.supervisor.going_away(link, world.now)
    health = world.supervisor._watches[node].paths[node.paths[0]].health
    world.supervisor.pong(link, health.ping_id, world.pong_of(node), world.now)
    health.ping_sent_at = world.now
    world.supervisor.pong(link, health.ping_id, world.pong_of(node), world.now)
    assert not serves(world, node)


@pytest.mark.parametrize("state", ["sealed", "locked", "standby", "fenced"])
def test_a_node_that_says_it_cannot_serve_gets_no_requests_and_no_deep_checks(it, state):
    world, node, machine = it
    machine.state = state
    world.advance(1.3)
    before = world.checks(node)
    busy(world)
    world.advance(0.2)
    assert world.of(node) == []
    assert node.operational == state
    world.advance(30)
    assert world.checks(node) == before


def test_a_node_that_was_ejected_and_came_back_sealed_is_probed_when_it_is_not_any_more(it):
    world, node, machine = it
    world.advance(1)
    fail(node, 3)
    world.until(lambda: not serves(world, node), 1)
    machine.state = "sealed"
    world.advance(0.3)
    before = world.checks(node)
    world.advance(60)
    assert world.checks(node) == before
    machine.state = "up"
    assert world.until(lambda: serves(world, node), 5) < 2


# ---- what is forgotten -----------------------------------------------------------------------------------------------


def test_the_third_missing_answer_does_not_count_while_the_proxy_itself_stood_still(it):
    world, node, machine = it
    world.advance(1)
    health = world.supervisor._watches[node].paths[node.paths[0]].health
    machine.alive = False
    world.until(lambda: health.missed == 2 and health.ping_sent_at is not None, 5)
    machine.alive = True
    world.advance(1.0, beat=1.0)
    world.advance(2)
    assert world.supervisor.stalls == 1
    assert serves(world, node)
    assert world.closed == []


def test_large_requests_of_a_node_that_went_down_in_order_are_no_suspects_either(it):
    world, node, _ = it
    world.advance(1)
    busy(world, 30, body=bytes(20 << 10))
    assert node.paths[0].bulk.in_flight
    world.supervisor.going_away(node.paths[0].link, world.now)
    world.supervisor.link_lost(node.paths[0].link, "closed", world.now)
    assert [other.suspects for other in world.nodes] == [0, 0, 0]
    assert node.errors_in_a_row == 0


def test_after_a_good_minute_a_node_is_ejected_for_a_short_time_again(it):
    world, node, _ = it
    times = []
    for pause in (1, 1, 62):
        world.advance(pause)
        fail(node, 3)
        world.until(lambda: not serves(world, node), 1)
        times.append(world.until(lambda: serves(world, node)))
    assert times == pytest.approx([1.25, 2.5, 1.25], abs=0.15)


def test_errors_from_the_time_that_a_node_was_out_do_not_eject_it_again(it):
    world, node, _ = it
    world.advance(1)
    fail(node, 3)
    world.advance(0.1)
    fail(node, 30)
    world.until(lambda: serves(world, node), 2)
    world.advance(1)
    assert serves(world, node)
    assert world.counters.sanctions == {("n0", "errors"): 1}


def test_a_change_that_waits_for_the_store_takes_no_node_out(watched):
    watched.advance(3)
    for machine in watched.machines.values():
        machine.works = False  # the store is locked: nothing else is asked
    watched.advance(0.1)
    _, peer = busy(watched, 1, timeout_ms=20_000, opcode=int(Opcode.UPDATE_KEY))
    watched.advance(1.5)  # deep checks would fail after 2 s here, since these machines do nothing at all
    assert len(watched.table.rotation) == 3
    assert peer.frames == []


def test_each_path_has_its_own_round_trip(make_watched):
    world = make_watched(uplinks="ab")
    world.advance(3)
    node = world.nodes[0]
    watch = world.supervisor._watches[node]
    near, far = node.paths
    watch.paths[near].round_trip_s, watch.paths[far].round_trip_s = 0.001, 0.04
    world.advance(0.5)
    assert watch.outlier.round_trip_s == pytest.approx(0.001, abs=0.001)
    world.machines[node].cut.add(near)
    world.supervisor.link_lost(near.link, "reset", world.now)
    watch.paths[far].round_trip_s = 0.04
    watch.outlier.round_trip_s = 0.0
    world.advance(0.3)
    assert watch.outlier.round_trip_s == watch.paths[far].round_trip_s


def test_what_a_node_said_before_over_one_path_does_not_undo_what_it_says_now_over_another(make_watched):
    world = make_watched(uplinks="ab")
    node = world.nodes[0]
    first, second = (path.link for path in node.paths)
    earlier, later = node.pings.next_id(), node.pings.next_id()
    machine = world.machines[node]
    machine.state, machine.boot_id = "stale", b"boot-2"
    world.supervisor.pong(second, later, world.pong_of(node), world.now)
    machine.state, machine.boot_id = "up", b"boot-1"
    world.supervisor.pong(first, earlier, world.pong_of(node), world.now)
    assert (node.operational, node.boot_id) == ("stale", b"boot-2")


def test_while_no_current_node_is_there_an_attempt_to_connect_that_hangs_is_not_waited_for(make_watched):
    world = make_watched(weights=(1,))
    (node,) = world.nodes
    world.connect = lambda path, *, bulk: bulk or hanging.append(world.now)
    hanging: list[float] = []
    world.crash(node)
    world.advance(2.0)
    assert all(later - before <= 0.55 for before, later in pairwise(hanging))
    assert len(hanging) >= 3
    fast = world.open(node.paths[0])
    world.advance(0.1)
    assert serves(world, node)
    late = world.open(node.paths[0])
    assert (node.link, world.closed) == (fast, [(late, "another attempt was faster")])
    world.supervisor.not_opened(node.paths[0], "no answer", world.now, bulk=False)
    assert serves(world, node)


# ---- a silent node: its process or its machine ---------------------------------------------------------------------


@pytest.mark.parametrize(("acknowledges", "losses"), [(True, 1), (False, 0)])
def test_only_a_machine_that_still_acknowledges_makes_suspects_of_what_was_sent(it, acknowledges, losses):
    world, node, machine = it
    world.advance(1)
    machine.alive = False
    silent_since = world.now - 0.1
    node.link.unacknowledged_s = lambda: 0.0 if acknowledges else world.now - silent_since
    client, _ = busy(world, 30)
    mine = [request for request in client.in_flight.values() if request.link.node is node]
    assert mine
    world.until(lambda: not serves(world, node))
    assert {len(request.losses) for request in mine} == {losses}


def test_an_acknowledgement_that_is_due_only_now_says_nothing_against_the_machine(it):
    world, node, machine = it
    world.advance(1)
    machine.alive = False
    # It acknowledged the PING of the silence; what was sent just before the end is on its way.
    node.link.unacknowledged_s = lambda: 0.05
    client, _ = busy(world, 30)
    mine = [request for request in client.in_flight.values() if request.link.node is node]
    world.until(lambda: not serves(world, node))
    assert {len(request.losses) for request in mine} == {1}
