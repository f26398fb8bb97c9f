"""The master key's state and rotation, from the command line."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from fake_cluster import FakeCluster

from hsm_client import sync
from hsm_wire.administration import MasterKeyStatus, NodeMasterKeys, Report
from hsmctl.commands import master_key

OLD, NEW = "00112233aabbccdd", "8899aabb00112233"


def state(version: int, left: int, *, settled: bool, used: str = NEW, refused: int = 0) -> MasterKeyStatus:
    following = NEW if version == 1 else ""
    held = [NodeMasterKeys("node-1", [OLD, NEW], used), NodeMasterKeys("node-2", [], "")]
    fingerprint = OLD if version == 1 else NEW
    return MasterKeyStatus("node-1", version, fingerprint, following, 9, left, refused, settled, held)


def script(fake: FakeCluster, *states: MasterKeyStatus) -> None:
    """Have the cluster rotate, and answer these states one after the other."""
    following: Iterator[MasterKeyStatus] = iter(states)
    keystore = fake.proxy.keystore
    keystore.master_key_status = lambda _body: next(following)
    keystore.rotate_master_key = lambda _body: Report(True, ["master key version 2 is in use", "9 records are left"])


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again at once, and say so each time."""
    monkeypatch.setattr(master_key, "POLL_INTERVAL_S", 0.0)
    monkeypatch.setattr(master_key, "NOTE_INTERVAL_S", 0.0)


def test_a_cluster_that_was_never_rotated_says_which_key_it_has(shell) -> None:
    text = shell.good("master-key", "status").decode()
    assert "version 1, fingerprint" in text
    assert "settled" not in text
    assert "node-1\t-\t-" in text
    document = shell.json("master-key", "status")
    assert (document["version"], document["next_fingerprint"], document["left"]) == (1, None, 0)
    assert [node["held"] for node in document["nodes"]] == [[], []]


def test_without_a_next_key_a_rotation_is_one_line_that_says_what_to_do(shell) -> None:
    assert "holds no next master key" in shell.bad(1, "master-key", "rotate", "--wait")


@pytest.mark.parametrize(
    ("backends", "named", "advice"),
    [
        (
            ("pkcs11", "pkcs11"),
            "node-1, node-2: ",
            "make new keys in a cluster with another master key: docs/ceremony.md",
        ),
        (("software", "pkcs11"), "node-2: ", "take those nodes out of cluster.toml first"),
    ],
)
def test_a_master_key_in_devices_is_not_rotated_and_nobody_is_told_to_give_a_next_one(
    shell, monkeypatch: pytest.MonkeyPatch, backends: tuple[str, str], named: str, advice: str
) -> None:
    nodes = [SimpleNamespace(name=f"node-{number}", backend=backend) for number, backend in enumerate(backends, 1)]
    monkeypatch.setattr(sync.Hsm, "status", lambda _hsm: SimpleNamespace(nodes=nodes))
    line = shell.bad(1, "master-key", "rotate")
    assert named in line
    assert advice in line
    assert "next_master_key" not in line


def test_the_state_names_what_each_node_holds_and_what_is_left(fake_shell, fake_cluster: FakeCluster) -> None:
    script(fake_cluster, state(2, 4, settled=False, refused=1))
    text = fake_shell.good("master-key", "status").decode()
    assert "9, 4 left under another master key" in text
    assert "1 records must not be used" in text
    assert "keep the old master key" in text
    assert f"node-1\t{OLD} {NEW}\t{NEW}" in text
    script(fake_cluster, state(1, 0, settled=True, used=OLD))
    text = fake_shell.good("master-key", "status").decode()
    assert f"next        {NEW}" in text
    assert "settled     yes, and the next master key is not in use: keep this one" in text


def test_a_rotation_goes_on_in_the_background(fake_shell, fake_cluster: FakeCluster) -> None:
    script(fake_cluster, state(2, 9, settled=False))
    lines = fake_shell.good("master-key", "rotate").decode().splitlines()
    assert lines[:2] == ["master key version 2 is in use", "9 records are left"]
    assert "master-key status" in lines[2]
    script(fake_cluster, state(2, 0, settled=True))
    assert len(fake_shell.good("master-key", "rotate").decode().splitlines()) == 2


def test_a_node_that_has_not_noticed_the_rotation_does_not_end_it(fake_shell, fake_cluster: FakeCluster) -> None:
    unaware, over = state(1, 0, settled=True, used=OLD), state(2, 0, settled=True)
    script(fake_cluster, *[unaware] * 12, state(2, 9, settled=False), over)
    assert fake_shell.json("master-key", "rotate", "--wait")["version"] == 2
    script(fake_cluster, unaware, state(2, 9, settled=False))
    document = fake_shell.json("master-key", "rotate")
    assert (document["version"], document["settled"]) == (2, False)
    script(fake_cluster, *[unaware] * 10)
    assert "master-key status" in fake_shell.good("master-key", "rotate").decode()


def test_waiting_says_how_far_it_is_and_ends_when_every_node_seals_under_the_new_key(
    fake_shell, fake_cluster: FakeCluster
) -> None:
    states = [state(2, 9, settled=False), state(1, 0, settled=True, used=OLD), state(2, 3, settled=False, used=OLD)]
    script(fake_cluster, *states, state(2, 0, settled=True))
    done = fake_shell("master-key", "rotate", "--wait")
    assert done.exit_code == 0
    assert "3 of 9 records are left; waiting for node-1, node-2" in done.stderr
    assert "9 records, 0 left" in done.stdout
    assert "remove next_master_key" in done.stdout
    script(fake_cluster, *states, state(2, 0, settled=True))
    document = fake_shell.json("master-key", "rotate", "--wait")
    assert (document["version"], document["left"], document["settled"]) == (2, 0, True)
