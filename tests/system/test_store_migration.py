"""Large stores are moved to three members of etcd, killed in the middle again and again; and the page about it."""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from many_records import fill_file
from moving import LIMIT_S, MESSAGE, Belongings, migrate, start_nodes, stop_nodes, to_etcd
from programs import wait_until
from scale import SCALE
from terminals import Terminals
from test_guides import GUIDES, KEY, ROOT, START, page_of

from hsm_client import sync
from hsm_client.errors import KeyNotFound
from hsm_client.sync_keys import Key
from hsm_node.store.etcd.channels import Link, credentials_of
from hsm_node.store.etcd.transactions import page

KEYS = max(200, int(10_000 * SCALE))
TYPE = "ed25519"
DESTROYED = 50
SAMPLE = 100
KILLS = 4
PAGE = "move-to-etcd.md"


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members, with mutual TLS."""
    made = EtcdCluster(tmp_path / "etcd", 3, tls=True)
    try:
        yield made.start()
    finally:
        made.stop()


def killed_when(enough: Callable[[], bool], store: Path, config: Path) -> None:
    """Run the command and kill it in the middle."""
    command = [sys.executable, "-m", "hsmctl.cli", "store", "migrate", "--from", str(store), "--to", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: process.poll() is not None or enough(), lambda: "it is in the middle", LIMIT_S)
            assert process.poll() is None, "it ended before it could be killed"
        finally:
            process.kill()


class Seen:
    """How far a migration is, as etcd shows it."""

    def __init__(self, etcd: EtcdCluster) -> None:
        self._link = Link(etcd.addresses[0], credentials_of(etcd.tls))

    def revision(self) -> int:
        """Return etcd's revision."""
        return int(self._link.range(page(b"", 0, 1), timeout=LIMIT_S).header.revision)

    def rows(self) -> bool:
        """Whether there are rows."""
        return len(self._link.range(page(b"", 0, 1), timeout=LIMIT_S).kvs) > 0

    def close(self) -> None:
        """End the connection."""
        self._link.close()


def test_ten_thousand_keys_move_though_it_is_killed_again_and_again(
    make_cluster: Callable[..., Cluster], etcd: EtcdCluster
) -> None:
    cluster = make_cluster()
    stop_nodes(cluster)
    ids = fill_file(cluster, KEYS, TYPE)
    start_nodes(cluster)
    with sync.connect(cluster.client_config) as hsm:
        belongings = Belongings(hsm)
        gone = [hsm.key(key_id).describe() for key_id in ids[:DESTROYED]]
        for info in gone:
            Key(hsm, info).destroy()
        kept = random.Random(1).sample(ids[DESTROYED:], SAMPLE)
        signatures = {key_id: hsm.key(key_id).sign(MESSAGE, "eddsa") for key_id in kept}
    stop_nodes(cluster)
    to_etcd(cluster, etcd)
    config = cluster.nodes[0].config

    begun = time.monotonic()
    with contextlib.closing(Seen(etcd)) as seen:
        for number in range(KILLS):
            goal = seen.revision() + (number + 1) * KEYS // 100
            killed_when(lambda goal=goal: seen.revision() > goal, cluster.store, config)  # type: ignore[misc]
        killed_when(seen.rows, cluster.store, config)
    done = migrate(cluster.store, config, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["records"] >= KEYS
    assert 0 < report["written"] < report["records"], "the last kill was not in the middle"
    took_s = time.monotonic() - begun
    print(f"\n{report['written']} of {report['records']} in the last run, {took_s:.1f} s in all")

    start_nodes(cluster)
    with sync.connect(cluster.client_config) as hsm:
        belongings.check(hsm)
        assert {key.id for key in hsm.find_keys()} >= {*ids[DESTROYED:]}
        for key_id, signature in signatures.items():
            key = hsm.key(key_id)
            key.verify(MESSAGE, signature, "eddsa")
            assert key.sign(MESSAGE, "eddsa") == signature
        for info in gone:
            with pytest.raises(KeyNotFound):
                Key(hsm, info).sign(MESSAGE, "eddsa")
    assert all("older than this node has seen" not in node.log() for node in cluster.nodes)


def test_the_page_about_it_does_what_it_says_and_back(tmp_path: Path, etcd: EtcdCluster) -> None:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    environment["PATH"] = f"{etcd.program.parent}:{environment['PATH']}"
    terminals = Terminals(tmp_path, tmp_path, environment)
    try:
        terminals.follow(START)
        terminals.follow((GUIDES / "index.md").read_text(encoding="utf-8"))
        terminals.follow(KEY)
        terminals.follow("```sh\nhsmctl key list --json > before.json\n```\n")
        terminals.follow(page_of(PAGE))
        terminals.follow("```sh\nhsmctl key list --json > after.json\n```\n")
    finally:
        terminals.close()
    lists = [(tmp_path / "redoubt-dev" / f"{name}.json").read_text() for name in ("before", "keys", "after")]
    assert lists[0] == lists[1] == lists[2]
    assert (tmp_path / "redoubt-dev" / "cluster.sig").stat().st_size > 0
