"""`hsmctl backup` at real nodes: made, verified, brought back; what is not good is refused by one line."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from hsmctl_forks import run_hsmctl_text
from programs import get

from hsm_client import sync
from hsm_client.errors import KeyNotFound
from hsm_wire.backup_files import HEAD, PART_HEAD, BackupHeader
from hsm_wire.messages import decode_body

MESSAGE = b"signed before and after"


class Backups:
    """The command, at the first node of a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.node = cluster.nodes[0]
        self._socket = cluster.folder / "state" / self.node.name / "admin.sock"

    def run(self, *arguments: object, code: int = 0) -> str:
        """Return what it printed, or the one line by which it failed."""
        done = run_hsmctl_text("backup", *arguments, "--socket", self._socket, environment=os.environ)
        assert done.returncode == code, done.stderr
        assert done.stderr.count("\n") == (code != 0), done.stderr
        return done.stderr if code else done.stdout

    def metric(self, name: str) -> float:
        """Return one of the node's own."""
        page = get(self.node.admin_port, "/metrics")[1].decode()
        [line] = [line for line in page.splitlines() if line.startswith(f"hsm_node_{name} ")]
        return float(line.split()[1])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One node and a proxy."""
    made = Cluster(tmp_path_factory.mktemp("backed-up"), "uvloop", 1)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_what_was_destroyed_by_mistake_is_brought_back_by_name(cluster: Cluster, tmp_path: Path) -> None:
    backups = Backups(cluster)
    file = tmp_path / "x.backup"
    assert backups.metric("backup_made_seconds") == 0
    with sync.connect(cluster.client_config) as hsm:
        kept, gone = (hsm.generate_key("ec-p256", label=label) for label in ("kept", "gone"))
        public = gone.public_key()
        assert "keys proven  2" in backups.run("create", "--out", file)
        assert file.stat().st_mode & 0o777 == 0o600
        gone.destroy()
        looked = json.loads(backups.run("restore", file, "--json"))
        assert looked["counts"] == {"destroyed since": 1, "there": 1}
        with pytest.raises(KeyNotFound):
            gone.sign(MESSAGE, "ecdsa-sha256")
        backups.run("restore", file, "--even-destroyed", "gone")
        again = hsm.key("gone")
        assert again.public_key() == public
        again.verify(MESSAGE, again.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")
        kept.sign(MESSAGE, "ecdsa-sha256")
    assert backups.metric("backup_made_seconds") > 0
    assert backups.metric("backup_good") == 1


def test_what_is_not_good_is_refused_by_one_line_and_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    backups = Backups(cluster)
    file = tmp_path / "x.backup"
    with sync.connect(cluster.client_config) as hsm:
        hsm.generate_key("ec-p256", label="late")
        backups.run("create", "--out", file)
        hsm.key("late").destroy()
        content = file.read_bytes()
        for number, (harm, said) in enumerate(
            [
                (content[:-1], "it ends too early"),
                (content[:15] + b"\0" + content[16:], "its format is 0, and this version reads 1"),
                (content[:600] + bytes([content[600] ^ 1]) + content[601:], "the backup is damaged"),
                (content.replace(fingerprint_in(content), b"anything"), "which this node does not hold"),
            ]
        ):
            bad = tmp_path / f"{number}.backup"
            bad.write_bytes(harm)
            line = backups.run("restore", bad, "--even-destroyed", "late", code=1)
            assert line.startswith(f"hsmctl: {bad}: ")
            assert said in line
            with pytest.raises(KeyNotFound):
                hsm.key("late")
        backups.run("verify", tmp_path / "2.backup", code=1)
        assert backups.metric("backup_good") == 0
        backups.run("verify", file)
        assert backups.metric("backup_good") == 1


def fingerprint_in(content: bytes) -> bytes:
    """Return what the header says of the master key."""
    start = len(HEAD) + PART_HEAD.size
    length = int.from_bytes(content[start - 4 : start])
    return decode_body(BackupHeader, content[start : start + length]).master_key
