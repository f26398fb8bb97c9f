import dataclasses
from collections.abc import Callable
from typing import Any

from hsm_node.config import load_node_config


async def test_a_fresh_keystore_is_current_and_idle(start_node: Callable[[], Any]) -> None:
    node = start_node()
    await node.client()
    node.keystore.sweep()
    assert (node.keystore.expired, node.keystore.table.live, node.keystore.follower.current) == (0, 0, True)


async def test_the_known_answers_of_a_drill_are_those_of_the_self_test_and_keep_no_key(
    start_node: Callable[[], Any],
) -> None:
    node = start_node()
    await node.client()
    parts = node.keystore.drills._parts
    assert parts.known_answers() == ()
    assert not parts.prover._backend._loaded._keys


async def test_the_cluster_s_durability_is_taken_up_by_a_reload(start_node: Callable[[], Any]) -> None:
    node = start_node()
    await node.client()
    assert not node.keystore.durable_dr
    _, cluster = load_node_config(node.config.cluster.parent / "node.toml")
    node.keystore.configure(dataclasses.replace(cluster, durability="dr"))
    assert node.keystore.durable_dr
