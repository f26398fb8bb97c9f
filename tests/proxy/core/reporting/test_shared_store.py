"""What nodes say of their store: who is out, and which members they can use."""

from hsm_wire.messages import StoreMember, StoreMemberReport
from proxy.core.reporting.shared_store import nodes_out, store_members, store_problems

FINE = StoreMember("10.0.0.1:2379")
LOST = StoreMember("10.0.0.1:2379", "no answer in time")
OTHER = StoreMember("10.0.0.2:2379")


def test_a_store_without_nodes_that_register_and_members_has_nothing_to_tell(make_world):
    nodes = make_world().nodes
    assert (nodes_out(nodes), store_members(nodes), list(store_problems(nodes))) == ([], [], [])


def test_who_is_out_is_known_by_those_that_follow_the_store(make_world):
    world = make_world()
    first, second, third = world.nodes
    first.nodes_out = ["n3", "n9"]
    second.nodes_out, second.reported = ["n1"], "stale"
    third.nodes_out, third.reported = ["n9"], "standby"
    assert nodes_out(world.nodes) == ["n3", "n9"]
    world.lose(first)
    assert nodes_out(world.nodes) == ["n9"]


def test_a_member_is_out_when_no_node_that_is_reached_can_use_it(make_world):
    world = make_world()
    first, second, third = world.nodes
    first.store_members, second.store_members, third.store_members = [FINE, OTHER], [LOST, OTHER], [LOST, OTHER]
    assert store_members(world.nodes) == [
        StoreMemberReport("10.0.0.1:2379", 1, 3, "no answer in time"),
        StoreMemberReport("10.0.0.2:2379", 3, 3, ""),
    ]
    assert list(store_problems(world.nodes)) == []
    world.lose(first)
    assert store_members(world.nodes)[0] == StoreMemberReport("10.0.0.1:2379", 0, 2, "no answer in time")
    assert list(store_problems(world.nodes)) == [
        "store member 10.0.0.1:2379 is out (no answer in time): mend it before another one goes"
    ]


def test_what_to_do_about_a_node_that_is_out_is_in_the_sentence(make_world):
    world = make_world()
    world.nodes[0].nodes_out = ["n9"]
    (text,) = store_problems(world.nodes)
    assert text.startswith("n9 is out: it did not confirm a change, and every change names it; bring it back, or, ")
    assert text.endswith("if it is off for good, `hsmctl node remove n9`")
