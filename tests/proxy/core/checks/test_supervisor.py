"""All nodes watched: connections handed on, the proxy's own stalls forgiven, nodes that come and go with the file."""

import pytest

from hsm_wire import kinds
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status
from proxy.core.checks.agreement import WITNESS_S
from proxy.core.nodes.node_table import Node
from proxy.core.parties import Link, Probe


def names(world):
    return sorted(node.name for node in world.table.rotation)


def test_all_nodes_are_connected_checked_and_taken_into_rotation(watched):
    assert names(watched) == ["n0", "n1", "n2"]
    asked = {(path.node.name, bulk) for path, bulk in watched.asked_for}
    assert asked == {(name, bulk) for name in ("n0", "n1", "n2") for bulk in (False, True)}
    assert all(node.bulk is not node.link for node in watched.nodes)


def test_a_proxy_that_has_just_started_starts_its_nodes_at_their_full_share(watched):
    assert watched.table.total == 3.0


def test_a_node_that_comes_later_gets_a_tenth_and_grows(watched):
    watched.advance(20)
    node = watched.nodes[0]
    watched.crash(node)
    took = watched.until(lambda: node in watched.table.rotation)
    assert took < 1.0
    assert node.share == pytest.approx(0.1, abs=0.01)
    watched.advance(5)
    assert node.share == pytest.approx(0.55, abs=0.03)
    watched.advance(6)
    assert node.share == 1.0


def test_a_slow_node_has_less_of_the_draw(watched):
    watched.advance(1)
    for node, mean_s in zip(watched.nodes, (0.04, 0.04, 0.4), strict=True):
        node.answers += 1000
        node.answer_time_s += 1000 * mean_s
    watched.advance(0.6)
    assert [node.share for node in watched.nodes[:2]] == [1.0, 1.0]
    assert watched.nodes[2].share < 0.01


def busy(world, count=30, **more):
    client, peer = world.client()
    for request_id in range(1, count + 1):
        world.ask(client, request_id, **more)
    return client, peer


def test_a_stall_of_the_proxy_itself_ejects_nobody_and_moves_nothing(watched):
    busy(watched)
    held = {node: node.in_flight for node in watched.nodes}
    watched.advance(0.2)
    watched.advance(3.0, beat=3.0)
    assert watched.supervisor.stalls == 1
    watched.advance(0.4)
    assert names(watched) == ["n0", "n1", "n2"]
    assert [node.errors for node in watched.nodes] == [0, 0, 0]
    assert {node: node.in_flight for node in watched.nodes} == held
    assert watched.closed == []


def test_beats_that_are_a_little_late_are_no_stall(watched):
    watched.advance(1.0, beat=0.2)
    assert watched.supervisor.stalls == 0


def test_a_deep_check_under_way_while_the_proxy_stood_still_has_its_time_again(watched):
    for machine in watched.machines.values():
        machine.works = False
    watched.until(lambda: all(node.in_flight for node in watched.nodes), 11)
    watched.advance(60, beat=60)
    watched.advance(1.5)
    assert [watch._deep.failed for watch in watched.supervisor._watches.values()] == [0, 0, 0]


def test_pongs_before_and_after_a_stall_do_not_make_a_node_blocked(watched):
    busy(watched)
    watched.advance(0.6)
    watched.now += 2.0
    for node in watched.nodes:  # what was in the sockets is read before the clock is looked at
        watched.supervisor.pong(node.link, 0x8000_0000, watched.pong_of(node), watched.now)
    assert names(watched) == ["n0", "n1", "n2"]


def test_what_waits_is_sent_when_a_pong_brings_room(watched):
    for machine in watched.machines.values():
        machine.window = 1
    watched.advance(1.5)
    busy(watched, 4)
    assert watched.dispatcher.waiting == 1
    node = watched.nodes[0]
    watched.machines[node].window = 5
    watched.supervisor.pong(node.link, node.pings.next_id(), watched.pong_of(node), watched.now)
    assert watched.dispatcher.waiting == 0


def test_a_node_taken_out_of_the_file_loses_its_connections_and_its_requests_move(watched):
    _, peer = busy(watched)
    gone = watched.nodes[0]
    links = {gone.paths[0].link, gone.paths[0].bulk}
    removed = watched.table.replace(watched.nodes[1:], watched.now)
    watched.supervisor.reconfigured(removed, watched.now)
    watched.advance(0.1)
    assert {link for link, _ in watched.closed} == links
    assert sum(node.in_flight for node in watched.nodes[1:]) == 30
    assert peer.frames == []
    assert gone.in_flight == 0


def test_a_node_new_in_the_file_is_watched_and_those_that_stay_keep_their_connections(watched):
    new = Node("n3", "s", 1, [("a", "h3:a")])
    watched.nodes.append(new)
    watched.machines[new] = type(watched.machines[watched.nodes[0]])()
    links = [node.link for node in watched.nodes[:3]]
    watched.supervisor.reconfigured(watched.table.replace(watched.nodes, watched.now), watched.now)
    watched.advance(0.2)
    assert names(watched) == ["n0", "n1", "n2", "n3"]
    assert [node.link for node in watched.nodes[:3]] == links


def frame_of_first_request(watched):
    frames = [frame for _, frame in watched.of(watched.nodes[0], opcode=int(Opcode.CHECK))]
    assert frames[0].request_id == 1
    return frames[0]


def test_connections_of_a_node_that_is_no_longer_there_are_closed_or_ignored(watched):
    watched.until(lambda: watched.checks(watched.nodes[0]))
    frame = frame_of_first_request(watched)
    gone = Node("old", "s", 1, [("a", "h:1")])
    closed = []
    link = Link(gone.paths[0], lambda raw: None, close=closed.append)
    watched.supervisor.opened(link, watched.now)
    assert closed == ["the node was taken out of the configuration"]
    watched.supervisor.not_opened(gone.paths[0], "refused", watched.now, bulk=False)
    watched.supervisor.pong(link, 1, watched.pong_of(watched.nodes[0]), watched.now)
    watched.supervisor.going_away(link, watched.now)
    watched.supervisor.link_lost(link, "gone", watched.now)
    link.in_flight[1] = Probe(gone, bytes(32), watched.now)
    gone.in_flight = 1
    watched.dispatcher.response(link, frame, watched.now)
    assert (names(watched), gone.in_flight) == (["n0", "n1", "n2"], 0)


def test_a_node_that_says_goaway_gets_nothing_new_and_answers_what_it_has(watched):
    _, peer = busy(watched)
    node = watched.nodes[0]
    held = len(node.link.in_flight)
    link = node.link
    watched.links[node] = link
    watched.supervisor.going_away(link, watched.now)
    assert names(watched) == ["n1", "n2"]
    assert len(link.in_flight) == held
    for link_id in list(link.in_flight):
        watched.answer(node, link_id)
    assert [frame.status for frame in peer.of(kinds.RESPONSE)] == [Status.OK] * held
    watched.supervisor.link_lost(link, "closed", watched.now)
    assert watched.counters.failovers == 0


def test_a_node_that_went_down_in_order_makes_nobody_a_suspect(watched):
    busy(watched)
    node = watched.nodes[0]
    watched.supervisor.going_away(node.link, watched.now)
    watched.supervisor.link_lost(node.paths[0].link, "closed", watched.now)
    assert sum(other.suspects for other in watched.nodes) == 0
    assert watched.counters.failovers > 0


def test_a_node_that_stood_still_says_so_and_what_it_had_is_not_suspected_of_it(watched):
    busy(watched)
    for node in watched.nodes[:2]:
        link = node.link
        watched.supervisor.going_away(link, watched.now, "the node stood still")
        assert "the node stood still" in node.reason
        watched.supervisor.link_lost(link, "the node stood still", watched.now)
    assert sum(node.suspects for node in watched.nodes) == 0
    assert watched.counters.poisoned == 0


def test_a_node_that_was_never_reached_can_be_taken_out_of_the_file(watched):
    gone = watched.nodes[0]
    watched.machines[gone].reachable = False
    watched.crash(gone)
    watched.supervisor.reconfigured(watched.table.replace(watched.nodes[1:], watched.now), watched.now)
    watched.advance(3)
    assert names(watched) == ["n1", "n2"]
    assert all(path.node is not gone for path, _ in watched.asked_for[-1:])


def test_requests_of_a_node_taken_out_of_the_file_are_no_suspects(watched):
    busy(watched)
    gone = watched.nodes[0]
    watched.supervisor.reconfigured(watched.table.replace(watched.nodes[1:], watched.now), watched.now)
    assert [node.suspects for node in watched.nodes] == [0, 0, 0]
    assert gone.errors_in_a_row == 0


def test_a_silence_that_the_proxy_slept_through_is_no_loss(watched):
    watched.advance(1)
    node = watched.nodes[0]
    busy(watched)
    watched.machines[node].alive = False
    watched.until(lambda: node.link.probed_at, 1)
    watched.machines[node].alive = True
    watched.advance(1.0, beat=1.0)
    watched.advance(0.2)
    assert watched.supervisor.stalls == 1
    assert [link for link, _ in watched.closed] == []


def test_nodes_that_drop_their_links_after_all_stood_still_make_no_request_a_suspect(watched):
    """Found by the soak: the whole machine stood still twice, and a RANDOM that was there both times got POISON."""
    busy(watched, 12)
    for _ in range(2):
        watched.advance(0.3)
        watched.now += 2.0
        for node in watched.nodes:  # read before the clock is looked at
            if node.link is not None:
                watched.supervisor.link_lost(node.link, "the node closed the connection", watched.now)
        watched.advance(3.0)
        assert names(watched) == ["n0", "n1", "n2"]
    assert watched.supervisor.stalls == 2
    assert [node.errors_in_a_row for node in watched.nodes] == [0, 0, 0]
    assert not watched.dispatcher.failover.poison.bans
    assert watched.dispatcher.counters.poisoned == 0


@pytest.mark.parametrize(("after_s", "counts"), [(0.5, False), (1.5, True)])
def test_a_loss_counts_again_when_the_stall_is_a_second_past(watched, after_s, counts):
    watched.advance(0.3)
    watched.advance(2.0, beat=2.0)
    watched.advance(after_s)
    busy(watched, 12)
    node = watched.nodes[0]
    watched.crash(node)
    assert bool(node.errors_in_a_row) is counts
    requests = [entry for other in watched.nodes if other.link for entry in other.link.in_flight.values()]
    suspects = [entry for entry in [*requests, *watched.dispatcher.failover.waiting] if getattr(entry, "losses", 0)]
    assert bool(suspects) is counts


def store(revision, digest=b"d"):
    return {
        "cluster_id": b"c" * 16,
        "epoch": 1,
        "applied_revision": revision,
        "seen_digest": digest,
        "seen_revision": revision,
        "seen_writes": revision,
    }


def started_anew(watched, node, boot_id=b"boot-2"):
    """Let a node be another process from now on."""
    watched.machines[node].boot_id = boot_id
    watched.crash(node)


def test_a_node_that_starts_on_an_older_store_never_takes_part_while_another_one_does(watched):
    for machine in watched.machines.values():
        machine.store = store(100)
    watched.advance(3.0)
    node = watched.nodes[0]
    watched.machines[node].store = store(80, b"e")
    watched.table.take_changes()
    started_anew(watched, node)
    served = []
    for _ in range(400):
        watched.advance(0.025)
        served.append(node in watched.table.rotation)
    assert not any(served)
    assert [change.after for change in watched.table.take_changes() if not change.path] == ["down", "stale"]
    assert node.reason == "its store is at revision 80, and n1 has seen revision 100"
    assert "a node's store lacks what another node has seen" in [n.text for n in watched.dispatcher.notices.take()]
    watched.machines[node].store = store(100)
    started_anew(watched, node, b"boot-3")
    watched.until(lambda: node.operational == "up", 5.0)


def test_an_older_store_is_used_when_no_node_has_a_newer_one_any_more(watched):
    for machine in watched.machines.values():
        machine.store = store(100)
    watched.advance(3.0)
    node = watched.nodes[0]
    watched.machines[node].store = store(80, b"e")
    started_anew(watched, node)
    watched.until(lambda: node.operational == "stale", 5.0)
    for other in watched.nodes[1:]:
        watched.machines[other].reachable = False
        watched.crash(other)
    assert watched.table.rotation == [node]
    took = watched.until(lambda: node.operational == "up", WITNESS_S + 5.0)
    assert took > WITNESS_S - 5.0


def test_a_running_node_that_falls_behind_is_stale_after_two_intervals_and_up_when_it_has_caught_up(watched):
    for machine in watched.machines.values():
        machine.store = store(100)
    watched.advance(3.0)
    for node in watched.nodes[1:]:
        watched.machines[node].store = store(101)
    node = watched.nodes[0]
    took = watched.until(lambda: node.operational == "stale", 10.0)
    assert 2.4 < took < 6.0
    watched.machines[node].store = store(101)
    watched.until(lambda: node.operational == "up", 3.0)


def test_nodes_that_disagree_stay_in_rotation(watched):
    for number, node in enumerate(watched.nodes):
        watched.machines[node].store = store(100, b"one" if number else b"two")
    watched.advance(3.0)
    assert names(watched) == ["n0", "n1", "n2"]
    assert watched.nodes[0].store_faults == {"digest": "its content is not that of n1, n2"}
    watched.supervisor.reconfigured(watched.table.replace(watched.nodes[1:], watched.now), watched.now)
    watched.advance(3.0)
    assert [node.store_faults for node in watched.table.nodes] == [{}, {}]


def in_epoch(world, number, epoch):
    world.machines[world.nodes[number]].store = {"cluster_id": b"c" * 16, "epoch": epoch}


def test_after_a_promotion_nothing_of_a_node_of_the_epoch_before_reaches_a_client(watched):
    for number in range(3):
        in_epoch(watched, number, 1)
    watched.advance(3)
    busy(watched)
    old = watched.nodes[0]
    owed = [link for link in (old.link,) if link.in_flight]
    assert owed
    in_epoch(watched, 1, 2)
    in_epoch(watched, 2, 2)
    for node in watched.nodes[1:]:  # They close their links: their epoch has changed.
        watched.supervisor.going_away(node.link, watched.now, "the store has a new epoch")
        watched.crash(node)
    watched.until(lambda: old.fenced)
    assert any(link is owed[0] and "epoch 2 was seen" in reason for link, reason in watched.closed)
    assert not old.link or not old.link.in_flight
    watched.advance(3)
    assert (old.operational, old in watched.table.rotation) == ("fenced", False)
    assert old.link is None or not old.link.in_flight
    assert not watched.nodes[0].suspects
    in_epoch(watched, 0, 2)
    watched.crash(old)
    watched.until(lambda: old in watched.table.rotation)


def test_a_link_that_outlives_the_epoch_of_its_node_is_dropped(watched):
    in_epoch(watched, 0, 1)
    watched.advance(3)
    node = watched.nodes[0]
    link = node.link
    in_epoch(watched, 0, 2)
    watched.until(lambda: any(closed is link for closed, _ in watched.closed))
    assert next(reason for closed, reason in watched.closed if closed is link).startswith("its epoch has changed")
    watched.advance(3)
    assert names(watched) == ["n0", "n1", "n2"]


# ---- hints of another worker ---------------------------------------------------------------------------------------


def test_a_hint_finds_an_idle_node_that_vanished_within_the_time_of_silence(watched):
    node = watched.nodes[0]
    watched.advance(20)
    watched.machines[node].alive = False
    watched.supervisor.hint(node.name, watched.now)
    took = watched.until(lambda: node not in watched.table.rotation)
    assert took <= watched.settings.health.silence_s + 0.05


def test_a_hint_about_a_node_that_answers_changes_nothing(watched):
    node = watched.nodes[0]
    watched.advance(20)
    watched.table.take_changes()
    asked = watched.checks(node)
    watched.supervisor.hint(node.name, watched.now)
    watched.advance(2)
    assert (watched.table.take_changes(), watched.closed) == ([], [])
    assert watched.checks(node) == asked + 1


def test_however_many_hints_come_a_node_is_asked_four_times_a_second_at_most(watched):
    node = watched.nodes[0]
    watched.advance(20)
    pings = len(watched.of(node, kinds.PING))
    for _ in range(100):
        watched.supervisor.hint(node.name, watched.now)
        watched.advance(0.01, beat=0.01)
    assert len(watched.of(node, kinds.PING)) - pings <= 4 * 3 + 2, "three links' worth, and its usual checks"


def test_a_hint_has_a_path_that_is_down_tried_at_once(watched):
    node = watched.nodes[0]
    watched.machines[node].reachable = False
    watched.crash(node)
    watched.advance(30)
    watched.machines[node].reachable = True
    watched.supervisor.hint(node.name, watched.now)
    assert watched.until(lambda: node in watched.table.rotation) <= 0.5


def test_a_hint_tells_of_a_drain_at_once(watched):
    node = watched.nodes[0]
    watched.advance(20)
    watched.machines[node].administrative = "drain"
    watched.supervisor.hint(node.name, watched.now)
    watched.advance(0.05)
    assert node not in watched.table.rotation


def test_a_hint_about_a_node_that_there_is_not_is_nothing(watched):
    watched.supervisor.hint("nobody", watched.now)


def test_an_ejected_node_serves_its_time_whatever_is_hinted(watched):
    node = watched.nodes[0]
    watched.advance(20)
    watched.table.impose(node, "ejected", "errors", watched.now)
    asked = watched.checks(node)
    watched.supervisor._watches[node]._sanction.until = watched.now + 5
    watched.supervisor.hint(node.name, watched.now)
    watched.advance(1)
    assert watched.checks(node) == asked
