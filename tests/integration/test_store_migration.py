"""A cluster whose store is moved from SQLite to etcd by the command line: everything is as it was."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from moving import Belongings, migrate, start_nodes, stop_nodes, to_etcd
from programs import get

from hsm_client import sync


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    """One member, with mutual TLS."""
    made = EtcdCluster(tmp_path / "etcd", tls=True)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes on one SQLite file."""
    made = Cluster(tmp_path, "uvloop", 2)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_a_cluster_moves_to_etcd_with_everything_it_has(cluster: Cluster, etcd: EtcdCluster) -> None:
    config = cluster.folder / "on-etcd.toml"
    with sync.connect(cluster.client_config) as hsm:
        belongings = Belongings(hsm)
    before = cluster.nodes[0].config.read_text()
    to_etcd(cluster, etcd)
    config.write_text(cluster.nodes[0].config.read_text())
    running = migrate(cluster.store, config)
    assert (running.returncode, len(running.stderr.splitlines())) == (2, 1)
    assert "nodes run on this store" in running.stderr

    stop_nodes(cluster)
    done = migrate(cluster.store, config, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["records"] == report["written"] >= 7
    master_key = cluster.master_key.read_text().strip()
    assert master_key not in done.stdout + done.stderr

    start_nodes(cluster)
    with sync.connect(cluster.client_config) as hsm:
        belongings.check(hsm)
    # Nobody finds the store older than what it has seen: revisions went on from where they were.
    assert b"_store_fault{" not in b"".join(
        line for line in get(cluster.proxy.admin_port, "/metrics")[1].splitlines() if line.endswith(b" 1.0")
    )
    assert all("older than this node has seen" not in node.log() for node in cluster.nodes)

    node = cluster.nodes[0]
    node.kill()
    node.config.write_text(before)
    refused = node.run_to_end()
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert "the store was moved to etcd at" in line
    assert "--undo" in line
