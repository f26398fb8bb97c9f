"""What the package promises and the cluster does not have now."""

from hsm_cluster.packages import PACKAGES
from hsm_cluster.topology import Site
from proxy.core.quota.compliance import shortfalls

SITES = (
    Site("a", "active", uplinks=("u", "v")),
    Site("b", "active", uplinks=("u", "v")),
    Site("c", "disaster-recovery", uplinks=("u", "v")),
)


def world_of(make_world):
    world = make_world(weights=(1, 1, 1), sites="abc", uplinks="u")
    recovery = world.nodes[2]
    recovery.reported = "standby"
    world.table.judge(recovery, world.now)
    return world


def test_a_cluster_that_is_well_has_all(make_world):
    assert shortfalls(PACKAGES["economy"], SITES, world_of(make_world).table) == []


def test_lost_nodes_sites_and_uplinks_are_named(make_world):
    world = world_of(make_world)
    world.lose(world.nodes[1])
    assert shortfalls(PACKAGES["economy"], SITES, world.table) == [
        "1 of at least 2 active nodes serves",
        "nodes of 1 of at least 2 active sites serve",
        "uplink u of site b is down",
    ]
    assert shortfalls(PACKAGES["sandbox"], SITES, world.table) == []


def test_a_recovery_node_that_does_not_stand_by_is_missed_where_the_package_has_one(make_world):
    world = world_of(make_world)
    world.lose(world.nodes[2])
    missing = shortfalls(PACKAGES["economy"], SITES, world.table)
    assert missing == ["uplink u of site c is down", "no node of a disaster-recovery site stands by"]
    assert shortfalls(PACKAGES["dedicated"], SITES, world.table) == missing[:1]
