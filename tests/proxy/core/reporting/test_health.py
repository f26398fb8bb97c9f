"""Whether the cluster does well."""

import pytest

from proxy.core.reporting.health import health, problems, problems_of_proxy
from proxy.core.reporting.sentences import RELOAD_FAILED


def seen(world):
    found = list(problems(world.table))
    return health(world.table, found), found


def test_all_is_well(make_world):
    assert seen(make_world()) == ("serving", [])


def test_a_node_that_does_not_serve_is_named_with_its_reason(make_world):
    world = make_world()
    world.table.path_down(world.nodes[1].paths[0], "cannot connect: Connection refused", world.now)
    assert seen(world) == ("degraded", ["n1 does not serve: connection refused"])


def test_what_an_operator_took_out_and_what_waits_for_a_disaster_is_no_fault(make_world):
    world = make_world()
    first, second, _ = world.nodes
    world.table.judge(first, world.now, "drain")
    second.reported = "standby"
    world.table.judge(second, world.now)
    assert seen(world) == ("serving", [])


def test_without_a_node_the_cluster_is_down_and_says_why(make_world):
    world = make_world(weights=(1,))
    world.lose(world.nodes[0])
    assert seen(world) == ("down", ["no HSM node can be reached", "n0 does not serve: gone"])
    world = make_world(weights=(1,))
    world.table.judge(world.nodes[0], world.now, "drain")
    state, (reason,) = seen(world)
    assert (state, "operator" in reason) == ("down", True)


def test_a_path_a_store_and_a_slow_node_degrade_while_all_serve(make_world):
    world = make_world(weights=(1,), uplinks="ab")
    node = world.nodes[0]
    world.table.path_down(node.paths[1], "it does not answer its check", world.now)
    node.store_faults["digest"] = "its content is another one"
    node.slowness = 0.1
    assert seen(world) == (
        "degraded",
        [
            "n0 does not answer over b: it does not answer its check",
            "store of n0: its content is another one",
            "n0 is slow and gets fewer requests",
        ],
    )


def test_a_stale_node_that_serves_is_not_as_it_should_be(make_world):
    world = make_world(weights=(1,))
    world.nodes[0].reported = "stale"
    world.table.judge(world.nodes[0], world.now)
    state, (text,) = seen(world)
    assert (state, text[:37]) == ("degraded", "n0 serves with an old state of the st")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, []),
        ({"overload": "queue_full"}, ["overload: requests are refused (queue_full)"]),
        ({"urgent_s": 7_200.0}, ["this proxy's certificate expires in 2 h"]),
        ({"urgent_s": -1.0}, ["this proxy's certificate has expired"]),
        ({"reload_failed": True}, [RELOAD_FAILED]),
    ],
)
def test_what_is_wrong_with_the_proxy_itself(more, found):
    assert list(problems_of_proxy(**({"overload": "", "urgent_s": None, "reload_failed": False} | more))) == found


def test_a_node_that_lacks_what_stored_keys_need_is_named_whether_it_serves_or_stands_by(make_world):
    world = make_world(weights=(1, 1))
    first, second = world.nodes
    first.reported, first.said = "lacking", "it cannot use keys of type ed25519 (1 stored)"
    world.table.judge(first, world.now)
    assert seen(world) == ("degraded", [f"n0 does not serve: {first.said}"])
    second.reported, second.said = "standby", first.said
    world.table.judge(second, world.now)
    assert seen(world) == (
        "degraded",
        [f"n0 serves and is not fit for it: {first.said}", f"n1 stands by and could not serve as it is: {first.said}"],
    )
