"""The node of the DR site falls behind while its member stands still, says by how much, and catches up by itself."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hsmctl_forks import run_hsmctl_text
from programs import wait_until
from scale import SLACK
from site_networks import namespaces_lack
from store_cluster import DR, StoreCluster

from hsm_client import sync

COPY = "node-4"
KEYS = 120
"""Above the objective of the alert RedoubtDrLags in records."""
BEHIND_S = 11.0
"""Above its objective in seconds."""
WITHIN_S = 30.0 * SLACK


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[StoreCluster]:
    """The data centres; the copy has its own member alone, so that nothing else tells it what it lacks."""
    if lack := namespaces_lack():
        pytest.skip(lack)
    made = StoreCluster(tmp_path)
    try:
        [copy] = [node for node in made.nodes if node.name == COPY]
        member, client = made.members[DR], made.store_members.client
        assert client is not None
        store = f'{{ driver = "etcd", endpoints = ["{member.address}"], tls = {client.as_toml()} }}'
        made.write_node(copy, store=store)
        made.start()
        yield made
    finally:
        made.stop()


def test_the_lag_of_the_copy_grows_while_its_member_stands_still_and_goes_back_by_itself(cluster: StoreCluster) -> None:
    def report() -> dict[str, Any]:
        [found] = [node for node in cluster.proxy.status()["nodes"] if node["name"] == COPY]
        return dict(found)

    def is_well() -> bool:
        found = report()
        return found["state"] == "standby" and found["lag_records"] == 0 and (found["lag_s"] or BEHIND_S) < 1.0 * SLACK

    def is_behind() -> bool:
        found = report()
        return found["lag_records"] >= KEYS and found["lag_s"] > BEHIND_S

    def told() -> str:
        environment = {**os.environ, "HSM_CLIENT_CONFIG": str(cluster.client_config)}
        return run_hsmctl_text("status", environment=environment).stdout

    with sync.connect(cluster.client_config) as hsm:
        hsm.generate_key("ec-p256")
        wait_until(is_well, lambda: f"the copy is current: {report()}", WITHIN_S)
        cluster.members[DR].signal(signal.SIGSTOP)
        try:
            for _ in range(KEYS):
                hsm.generate_key("hmac-256")
            wait_until(is_behind, lambda: f"the copy is behind: {report()}", WITHIN_S)
            assert re.search(rf"{KEYS} records, [\d.]+ s behind", told())
        finally:
            cluster.members[DR].signal(signal.SIGCONT)
        wait_until(is_well, lambda: f"the copy is current again: {report()}", WITHIN_S)
        assert "0 records, " in told()
