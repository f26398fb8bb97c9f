"""What is known of a node that does not run, and whether its store is lost."""

from pathlib import Path

import pytest
from fake_host import FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion.silent_node import SilentNode, has_majority, read_silent_node

CLUSTER = """
cluster = { name = "dev" }
sites = [{ name = "zurich" }, { name = "alps", role = "disaster-recovery" }]
nodes = [{ name = "node-1", site = "zurich" }, { name = "node-5", site = "alps" }]
"""


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    made.node_files[0].write_text('name = "node-5"\ncluster = "cluster.toml"\n[store]\nendpoints = ["a:1", "b:2"]\n')
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    return made


def test_its_files_say_what_a_promotion_needs(host: FakeHost) -> None:
    assert read_silent_node(host) == SilentNode("dev", 0, ("a:1", "b:2"))
    (host.folder / "store.json").write_text('{"cluster_id": "00", "epoch": 7}')
    assert read_silent_node(host).epoch == 7


def test_a_node_that_is_not_to_be_promoted_is_refused(host: FakeHost) -> None:
    host.node_files[0].write_text('name = "node-1"\ncluster = "cluster.toml"\n')
    with pytest.raises(CommandError, match="node-1 is not of the DR site; promote on a host of alps"):
        read_silent_node(host)
    (host.folder / "cluster.toml").write_text('cluster = { name = "dev" }\nsites = "none"\n')
    with pytest.raises(CommandError, match="cluster dev has no DR site"):
        read_silent_node(host)


def test_a_file_that_cannot_be_used_is_named(host: FakeHost) -> None:
    (host.folder / "store.json").write_text("{")
    with pytest.raises(CommandError, match=r"store\.json is damaged"):
        read_silent_node(host)
    (host.folder / "store.json").unlink()
    (host.folder / "store.json").mkdir()
    with pytest.raises(CommandError, match=r"cannot read .*store\.json: Is a directory"):
        read_silent_node(host)
    host.node_files[0].write_text("=")
    with pytest.raises(CommandError, match=r"node-5\.toml: .*; correct it"):
        read_silent_node(host)
    host.node_files[0].unlink()
    with pytest.raises(CommandError, match=r"cannot read .*node-5\.toml"):
        read_silent_node(host)


def test_one_member_that_reads_by_the_majority_is_enough(host: FakeHost) -> None:
    assert host.store is not None
    host.script("etcdctl", "case $* in *b:2*) exit 0;; esac; exit 1")
    assert has_majority(host, host.store, ("a:1", "b:2"))
    assert not has_majority(host, host.store, ("a:1",))
