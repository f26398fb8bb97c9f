"""Running daemons dump no core, and a node says truly whether its memory is locked."""

import re
from pathlib import Path

import pytest
from cluster import Cluster
from programs import get

pytestmark = pytest.mark.other_loop_in_system


def test_no_daemon_dumps_core_and_nodes_say_whether_their_memory_is_locked(shared: Cluster) -> None:
    for program in (*shared.nodes, *shared.proxies):
        limits = Path(f"/proc/{program.pid}/limits").read_text()
        assert re.search(r"(?m)^Max core file size +0 +0 ", limits)
    for node in shared.nodes:
        status = Path(f"/proc/{node.pid}/status").read_text()
        locked = not re.search(r"(?m)^VmLck:\s+0 kB", status)
        page = get(node.admin_port, "/metrics")[1].decode()
        assert f"hsm_node_memory_locked {float(locked)}" in page
        assert locked == ("memory is not locked" not in node.log())
    for proxy in shared.proxies:  # It holds no keys, and gives memory back after a crowd of clients.
        assert re.search(r"(?m)^VmLck:\s+0 kB", Path(f"/proc/{proxy.pid}/status").read_text())
