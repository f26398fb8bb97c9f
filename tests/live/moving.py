"""What a cluster has before its store is moved, and what has to be the same afterwards."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cluster import Cluster
from etcd import EtcdCluster
from programs import get, wait_until

from hsm_client import sync
from hsm_client.errors import KeyExists, KeyNotFound, KeyUsage
from hsm_client.policies import policy
from hsm_client.sync_keys import Key

MESSAGE = b"signed before the move"
LABELS = ("kept-0", "renamed", "kept-2", "counted")
MAX_USES = 3
START_S = 120.0
"""For a node that loads thousands of keys, on a machine that does other work."""
LIMIT_S = 240.0
"""For one run of `hsmctl store migrate`."""


def migrate(store: Path, config: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    """Run the command to its end."""
    command = [sys.executable, "-m", "hsmctl.cli", "store", "migrate", "--from", str(store), "--to", str(config)]
    return subprocess.run([*command, *options], capture_output=True, text=True, timeout=LIMIT_S, check=False)


def to_etcd(cluster: Cluster, etcd: EtcdCluster) -> None:
    """Have the nodes use etcd from their next start on."""
    for node in cluster.nodes:
        cluster.write_node(node, store=etcd.store_toml())


def stop_nodes(cluster: Cluster) -> None:
    """Stop all nodes in order; proxies stay."""
    for node in cluster.nodes:
        assert node.terminate() == 0


def start_nodes(cluster: Cluster) -> None:
    """Start all nodes, and wait until they are in rotation."""
    for node in cluster.nodes:
        node.start()
    for node in cluster.nodes:
        wait_until(lambda port=node.admin_port: get(port, "/readyz")[0] == 200, node.log, START_S)  # type: ignore[misc]
    cluster.wait_in_rotation()


class Belongings:
    """Keys in every state, and an object."""

    def __init__(self, hsm: sync.Hsm) -> None:
        """Make them."""
        made = [hsm.generate_key("ec-p256", label=f"kept-{number}") for number in range(4)]
        self.signature = made[0].sign(MESSAGE, "ecdsa-sha256")
        made[1].update(label="renamed")
        made[1].rotate()
        made[2].disable()
        self.destroyed = made[3].describe()
        made[3].destroy()
        counted = hsm.generate_key("ec-p256", label="counted", policy=policy(max_uses=MAX_USES))
        for _ in range(MAX_USES - 1):
            counted.sign(MESSAGE, "ecdsa-sha256")
        self.object_id = hsm.create_object("data", b"stored before the move", label="stored").id
        self.infos = self._infos(hsm)

    def check(self, hsm: sync.Hsm) -> None:
        """Everything is as it was: ids, labels, versions, values, counts; and what is no more stays away."""
        assert self._infos(hsm) == self.infos
        kept = hsm.key("kept-0")
        kept.verify(MESSAGE, self.signature, "ecdsa-sha256")
        kept.verify(MESSAGE, kept.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
        assert hsm.object(self.object_id).value() == b"stored before the move"
        with pytest.raises(KeyNotFound):
            Key(hsm, self.destroyed).sign(MESSAGE, "ecdsa-sha256")
        with pytest.raises(KeyExists):
            hsm.generate_key("ec-p256", key_id=self.destroyed.key_id)
        counted = hsm.key("counted")
        counted.sign(MESSAGE, "ecdsa-sha256")
        with pytest.raises(KeyUsage):
            counted.sign(MESSAGE, "ecdsa-sha256")

    @staticmethod
    def _infos(hsm: sync.Hsm) -> dict[str, object]:
        keys = [key for label in LABELS for key in hsm.find_keys(label=label)]
        return {key.id: msgspec.to_builtins(key.describe()) for key in keys}
