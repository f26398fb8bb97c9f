"""States of nodes and paths, and who is in rotation."""

import pytest

from hsm_wire.messages import Pong
from proxy.core.node_table import Node, NodeTable
from proxy.core.parties import Link
from proxy.core.settings import Settings


def pong(state="up", administrative="ready", window=8):
    return Pong(b"b", 0, 1, window, 0, state=state, administrative_state=administrative)


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
