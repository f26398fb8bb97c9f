"""States of nodes and paths, and who is in rotation."""

import pytest

from hsm_wire.messages import Pong
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Link
from proxy.core.settings import Portion, Settings


def pong(state="up", administrative="ready", window=8, reason=""):
    return Pong(b"b", 0, 1, window, 0, state=state, administrative_state=administrative, reason=reason)


def names(table):
    return [node.name for node in table.rotation]


def test_a_new_node_is_down_and_says_why():
    node = Node("a", "s", 1, [("x", "h:1")])
    table = NodeTable([node], Settings(), 0.0)
    assert (names(table), node.operational, node.reason) == ([], "down", "not tried yet")
    assert table.links == []


@pytest.mark.parametrize(
    ("report", "in_rotation"),
    [
        (pong(), True),
        (pong("sealed"), False),
        (pong("standby"), False),
        (pong("fenced"), False),
        (pong("nonsense"), False),
        (pong(administrative="drain"), False),
        (pong(administrative="maintain"), False),
        (pong(administrative="nonsense"), True),
    ],
)
def test_what_a_node_reports_decides_whether_it_serves(world, report, in_rotation):
    node = world.nodes[0]
    world.table.report(world.links[node], report, 1.0)
    assert (node in world.table.rotation) is in_rotation


def test_stale_nodes_serve_only_while_no_current_node_can(world):
    for node in world.nodes[:2]:
        world.table.report(world.links[node], pong("stale"), 1.0)
    assert names(world.table) == ["n2"]
    world.lose(world.nodes[2])
    assert names(world.table) == ["n0", "n1"]


def test_a_node_that_lacks_what_stored_keys_need_serves_while_no_whole_one_can_and_before_a_stale_one(world):
    first, second, third = world.nodes
    lacks = "it cannot use keys of type ed25519 (1 stored)"
    world.table.report(world.links[first], pong("lacking", reason=lacks), 1.0)
    world.table.report(world.links[second], pong("stale"), 1.0)
    assert (names(world.table), first.operational, first.reason) == (["n2"], "lacking", lacks)
    assert [change.reason for change in world.table.take_changes() if change.node == "n0"][-1] == lacks
    world.lose(third)
    assert names(world.table) == ["n0"]
    assert first in world.table.reachable, "what is stale is not as good"
    world.lose(first)
    assert names(world.table) == ["n1"]


def test_a_node_says_why_it_is_as_it_is_and_says_so_anew_when_that_changes(world):
    node = world.nodes[0]
    for reason, shown in (
        ("its process has ended", "its process has ended"),
        ("C_Sign returned CKR_DEVICE_REMOVED", "C_Sign returned CKR_DEVICE_REMOVED"),
        ("", "the node reports that it is down"),
    ):
        world.table.report(world.links[node], pong("down", reason=reason), 1.0)
        assert (node.operational, node.reason) == ("down", shown)


def test_an_outdated_node_serves_only_while_no_other_one_can_and_says_why(world):
    first, second, third = world.nodes
    first.outdated = "it lacks something"
    world.table.judge(first, 1.0)
    assert (first.operational, first.reason) == ("stale", "it lacks something")
    assert names(world.table) == ["n1", "n2"]
    world.table.impose(first, "ejected", "errors", 1.0)
    assert first.operational == "ejected"
    world.table.impose(first, "", "", 1.0)
    for node in (second, third):
        world.lose(node)
    assert names(world.table) == ["n0"]
    world.table.report(world.links[first], pong("sealed"), 1.0)
    assert first.operational == "sealed"


def test_the_first_path_that_is_up_is_used():
    node = Node("a", "s", 1, [("x", "h:1"), ("y", "h:2")])
    table = NodeTable([node], Settings(), 0.0)
    links = [Link(path, lambda raw: None) for path in node.paths]
    for path, link in zip(node.paths, links, strict=True):
        path.link = link
    table.path_up(links[1], 1.0)
    assert node.link is links[1]
    table.path_up(links[0], 1.0)
    assert node.link is links[0]
    table.path_down(node.paths[0], "cut", 2.0)
    assert (node.link, node.operational) == (links[1], "up")
    table.path_down(node.paths[1], "cut too", 2.0)
    assert (node.link, node.operational, node.reason) == (None, "down", "x: cut; y: cut too")
    assert table.empty_since == 2.0
    assert table.links == links


def test_each_change_is_told_once_with_its_reason(world):
    world.table.take_changes()
    node = world.nodes[0]
    world.table.path_down(node.paths[0], "cut", 1.0)
    world.table.path_down(node.paths[0], "cut", 1.0)
    path, state = world.table.take_changes()
    assert (path.path, path.after, path.reason) == ("a", "down", "cut")
    assert (state.node, state.before, state.after, state.reason) == ("n0", "up", "down", "a: cut")
    assert world.table.take_changes() == []


def test_an_administrative_state_stands_beside_the_operational_one(world):
    node = world.nodes[0]
    world.table.take_changes()
    world.table.report(world.links[node], pong(administrative="drain"), 1.0)
    (change,) = world.table.take_changes()
    assert (change.before, change.after) == ("up", "up/drain")
    assert (node.operational, node.administrative) == ("up", "drain")


def test_every_change_has_a_reason(world):
    node = world.nodes[0]
    world.table.take_changes()
    for administrative in ("drain", "ready"):
        world.table.report(world.links[node], pong(administrative=administrative), 1.0)
    assert [change.reason for change in world.table.take_changes()] == [
        "an operator asked for it",
        "its checks succeed",
    ]


def test_weights_of_the_rotation_are_summed(make_world):
    world = make_world(weights=(1, 2, 4))
    assert world.table.total == 7
    world.lose(world.nodes[2])
    assert world.table.total == 3


def test_a_window_is_at_least_one_and_at_most_what_the_link_takes(world):
    node = world.nodes[0]
    link = world.links[node]
    link.max_in_flight = 20
    world.table.report(link, pong(window=0), 1.0)
    assert node.window == 1
    world.table.report(link, pong(window=500), 1.0)
    assert node.window == 20


def test_a_worker_takes_its_part_of_a_window(world):
    node = world.nodes[0]
    link = world.links[node]
    windows = []
    for number in (1, 2, 3):
        world.settings.portion = Portion(number, 3)
        world.table.report(link, pong(window=8), 1.0)
        windows.append(node.window)
    assert windows == [3, 3, 2]


def test_what_is_on_the_way_comes_on_top_of_the_window_that_a_node_wants(world):
    node = world.nodes[0]
    link = world.links[node]
    link.max_in_flight = 200
    node.on_the_way = 30
    world.table.report(link, pong(window=50), 1.0)
    assert node.window == 80


# ---- sanctions -------------------------------------------------------------------------------------------------------


def test_a_node_under_sanction_is_out_and_says_why_until_it_is_lifted(world):
    node = world.nodes[0]
    world.table.impose(node, "ejected", "3 errors in a row", 1.0)
    assert (names(world.table), node.operational, node.reason) == (["n1", "n2"], "ejected", "3 errors in a row")
    world.table.judge(node, 2.0)
    assert node.reason == "3 errors in a row", "another look keeps the reason"
    world.table.impose(node, "", "", 3.0)
    assert (names(world.table), node.operational, node.reason) == (["n0", "n1", "n2"], "up", "")


def test_a_sanction_outlives_the_loss_of_the_connection(world):
    node = world.nodes[0]
    world.table.impose(node, "ejected", "a test", 1.0)
    world.lose(node)
    assert node.operational == "down"
    world.bring_up(node)
    assert node.operational == "ejected"
    assert node.link is not None, "so that it can be probed"


def test_what_a_node_says_of_itself_goes_before_a_sanction(world):
    node = world.nodes[0]
    world.table.impose(node, "ejected", "a test", 1.0)
    world.table.report(world.links[node], pong("sealed"), 1.0)
    assert (node.operational, node.reason) == ("sealed", "the node reports that it is sealed")


def test_a_node_is_spared_only_by_another_one_in_rotation(world):
    first, second, third = world.nodes
    assert world.table.spares(first)
    world.lose(second)
    world.table.impose(third, "blocked", "a test", 1.0)
    assert not world.table.spares(first)
    assert world.table.spares(second), "it is out already"


def test_an_operator_s_word_survives_the_loss_of_the_connection(world):
    node = world.nodes[0]
    world.table.report(world.links[node], pong(administrative="maintain"), 1.0)
    node.paths[0].link = None
    world.table.path_down(node.paths[0], "cut", 2.0)
    assert (node.operational, node.administrative) == ("down", "maintain")
    node.paths[0].link = world.links[node]
    world.table.path_up(world.links[node], 3.0)
    assert (node.operational, node in world.table.rotation) == ("up", False)


# ---- bulk links ------------------------------------------------------------------------------------------------------


def test_the_bulk_link_is_that_of_the_first_path_that_is_up_and_else_its_main_link():
    node = Node("a", "s", 1, [("x", "h:1"), ("y", "h:2")])
    table = NodeTable([node], Settings(), 0.0)
    links = [Link(path, lambda raw: None) for path in node.paths]
    bulk = Link(node.paths[1], lambda raw: None, bulk=True)
    for link in links:
        table.path_up(link, 1.0)
    node.paths[1].bulk = bulk
    table.judge(node, 1.0)
    assert (node.link, node.bulk) == (links[0], links[0])
    table.path_down(node.paths[0], "cut", 2.0)
    assert (node.link, node.bulk) == (links[1], bulk)
    assert table.links == [links[0], links[1], bulk]
    table.path_down(node.paths[1], "cut", 2.0)
    assert (node.link, node.bulk) == (None, None)


# ---- slow start ------------------------------------------------------------------------------------------------------


def test_a_node_that_returns_grows_from_a_tenth_to_its_whole_share_in_ten_seconds(world):
    node = world.nodes[0]
    world.now += 60
    world.lose(node)
    world.bring_up(node)
    assert node.share == pytest.approx(0.1)
    for seconds, share in [(1, 0.19), (5, 0.55), (10, 1.0), (60, 1.0)]:
        world.table.warm(world.now + seconds)
        assert node.share == pytest.approx(share)
    assert world.table.total == pytest.approx(3.0)


def test_its_weight_and_its_slowness_count_too(make_world):
    world = make_world(weights=(4, 1))
    node = world.nodes[0]
    world.now += 60
    world.lose(node)
    world.bring_up(node)
    node.slowness = 0.5
    world.table.warm(world.now + 5)
    assert node.share == pytest.approx(4 * 0.55 * 0.5)


def test_a_proxy_that_has_just_started_takes_nodes_at_their_whole_share(world):
    world.now += 9
    world.lose(world.nodes[0])
    world.bring_up(world.nodes[0])
    assert world.nodes[0].share == 1.0
    world.now += 2
    world.lose(world.nodes[1])
    world.bring_up(world.nodes[1])
    assert world.nodes[1].share == pytest.approx(0.1)


def test_the_first_node_after_none_serves_wholly_and_the_next_one_slowly(world):
    world.now += 60
    for node in world.nodes:
        world.lose(node)
    world.bring_up(world.nodes[0])
    world.bring_up(world.nodes[1])
    assert [node.share for node in world.nodes[:2]] == [1.0, pytest.approx(0.1)]


def test_slow_start_can_be_turned_off(make_world):
    world = make_world(slow_start_s=0.0)
    world.now += 60
    world.lose(world.nodes[0])
    world.bring_up(world.nodes[0])
    assert world.nodes[0].share == 1.0


def test_a_node_that_stays_in_rotation_does_not_begin_again(world):
    world.now += 60
    world.table.report(world.links[world.nodes[0]], pong("stale"), world.now)
    world.lose(world.nodes[1])
    assert world.nodes[2].share == 1.0


def test_the_time_without_any_node_begins_with_the_last_loss(world):
    for at, node in enumerate(world.nodes):
        world.now = 200.0 + at
        world.lose(node)
    world.table.judge(world.nodes[0], 210.0)
    assert world.table.empty_since == 202.0


# ---- another configuration -------------------------------------------------------------------------------------------


def test_nodes_that_are_replaced_leave_the_rotation_and_those_that_stay_keep_their_state(world):
    first, second, third = world.nodes
    new = Node("n3", "s", 1, [("a", "h3:1")])
    gone = world.table.replace([second, third, new], world.now)
    assert gone == [first]
    assert names(world.table) == ["n1", "n2"]
    assert world.table.total == 2.0
    assert second.operational == "up"
    assert world.table.replace([second, third, new], world.now) == []


def test_a_path_that_is_up_already_is_no_change(world):
    world.table.take_changes()
    world.table.path_up(world.links[world.nodes[0]], 1.0)
    assert world.table.take_changes() == []
