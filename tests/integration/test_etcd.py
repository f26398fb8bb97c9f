"""Nodes that share nothing but etcd: real processes, one member."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from programs import wait_until

from hsm_client import sync
from hsm_client.errors import KeyNotFound

MESSAGE = b"signed where it was not made"


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """One member, with mutual TLS."""
    etcd = EtcdCluster(tmp_path_factory.mktemp("etcd"), tls=True)
    try:
        yield etcd.start()
    finally:
        etcd.stop()


@pytest.fixture(scope="module")
def cluster(members: EtcdCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes on uvloop."""
    made = Cluster(tmp_path_factory.mktemp("on-etcd"), "uvloop")
    for node in made.nodes:
        made.write_node(node, store=members.store_toml())
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_key_that_one_node_made_signs_on_every_node_at_once(cluster: Cluster) -> None:
    with sync.connect(cluster.client_config) as hsm:
        for _ in range(20):
            key = hsm.generate_key("ec-p256")
            signatures = [key.sign(MESSAGE, "ecdsa-sha256") for _ in range(6)]
            for signature in signatures:
                key.verify(MESSAGE, signature, "ecdsa-sha256")
    assert min(cluster.node_requests().values()) > 20


def test_a_destroyed_key_serves_nowhere_and_every_node_has_the_same_digest(cluster: Cluster) -> None:
    with sync.connect(cluster.client_config) as hsm:
        key = hsm.generate_key("ed25519")
        key.destroy()
        for _ in range(6):
            with pytest.raises(KeyNotFound):
                key.sign(MESSAGE, "eddsa")
    revisions = [node.status()["applied_revision"] for node in cluster.nodes]
    assert len(set(revisions)) == 1


def test_a_node_that_starts_later_has_every_key(cluster: Cluster) -> None:
    node = cluster.nodes[0]
    with sync.connect(cluster.client_config) as hsm:
        keys = [hsm.generate_key("ec-p256") for _ in range(5)]
        node.kill()
        keys += [hsm.generate_key("ec-p256") for _ in range(5)]
        node.start()
        node.wait_ready()
        cluster.wait_in_rotation()
        before = cluster.node_requests()[node.name]
        for key in keys * 6:
            key.sign(MESSAGE, "ecdsa-sha256")
        assert cluster.node_requests()[node.name] > before


def test_keys_go_on_while_the_store_stands_still_and_all_is_well_afterwards(
    cluster: Cluster, members: EtcdCluster
) -> None:
    [member] = members.members
    with sync.connect(cluster.client_config) as hsm:
        key = hsm.generate_key("ec-p256")
        member.signal(signal.SIGSTOP)
        try:
            wait_until(lambda: set(cluster.states().values()) == {"stale"}, lambda: str(cluster.states()))
            for _ in range(20):
                key.sign(MESSAGE, "ecdsa-sha256")
        finally:
            member.signal(signal.SIGCONT)
        cluster.wait_in_rotation()
        hsm.generate_key("ec-p256").sign(MESSAGE, "ecdsa-sha256")


def test_the_master_key_of_a_store_in_etcd_belongs_to_it(cluster: Cluster, tmp_path: Path) -> None:
    node = cluster.nodes[2]
    node.kill()
    other = tmp_path / "other.key"
    other.touch(mode=0o600)
    other.write_text("11" * 32 + "\n")
    store = f'{{ backend = "software", master_key = {{ file = "{other}" }} }}'
    kept = node.config.read_text()
    try:
        node.config.write_text(
            "\n".join(f"keystore = {store}" if line.startswith("keystore") else line for line in kept.splitlines())
        )
        done = node.run_to_end()
        assert done.returncode == 2
        assert "the master key is not the one that this store was made with" in done.stderr
    finally:
        node.config.write_text(kept)
        node.start()
        node.wait_ready()
        cluster.wait_in_rotation()


def test_check_shows_the_store_and_connects_to_nobody(cluster: Cluster) -> None:
    done = cluster.nodes[0].run_to_end("--check")
    assert done.returncode == 0, done.stderr
    assert '"driver": "etcd"' in done.stdout
