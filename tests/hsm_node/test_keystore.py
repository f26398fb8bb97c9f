from collections.abc import Callable
from typing import Any


async def test_a_fresh_keystore_is_current_and_idle(start_node: Callable[[], Any]) -> None:
    node = start_node()
    await node.client()
    node.keystore.sweep()
    assert (node.keystore.expired, node.keystore.table.live, node.keystore.follower.current) == (0, 0, True)
