from collections.abc import Callable
from typing import Any


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
