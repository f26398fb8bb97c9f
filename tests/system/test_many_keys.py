"""A node with 100,000 keys on three members of etcd is ready in time, holds them in bounded memory, and hears of every
change before it is answered. What each takes is in docs/performance.md."""

from collections.abc import Callable
from pathlib import Path

import pytest
from many_keys import KEYS, MIB, many_keys
from scale import SLACK, bound_ms

pytestmark = pytest.mark.alone

READY_S = 20.0 * SLACK
HELD_BYTES = 400 * 1000 * 1000
CHANGED_MS = 100.0
CHANGES = 200


def test_a_node_with_a_hundred_thousand_keys_is_ready_holds_them_and_hears_of_changes(
    tmp_path: Path, count: Callable[[str, int], None]
) -> None:
    with many_keys(tmp_path, KEYS) as many:
        first, *others = [many.start(node) for node in many.cluster.nodes]
        assert first.clock_s < READY_S
        assert max(ready.resident_bytes for ready in (first, *others)) < HELD_BYTES
        many.cluster.proxy.start()
        many.cluster.proxy.wait_ready()
        many.cluster.wait_in_rotation()
        changes = many.change(CHANGES)
    assert changes.percentile_s(0.99) * 1000 < bound_ms(CHANGED_MS)
    count("milliseconds until a node with 100,000 keys is ready", round(first.clock_s * 1000))
    count("MiB of a node with 100,000 keys", round(first.resident_bytes / MIB))
    count("milliseconds until a change is on all nodes (p99)", round(changes.percentile_s(0.99) * 1000))
