"""A cluster that is in use is backed up, lost with all its files, and restored into another one on the other store."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from hsmctl_forks import run_hsmctl_text
from many_records import fill_file
from moving import Belongings, start_nodes, stop_nodes
from scale import SCALE
from softhsm import SoftHsm

from hsm_client import sync
from hsm_client.errors import HsmError
from hsm_wire.key_types import KEY_TYPES

MESSAGE = b"signed with what came back"
SIGNATURES = {"rsa": "rsa-pss-sha256", "ec": "ecdsa-sha256", "ed": "eddsa", "hmac": "hmac-sha256", "ml-dsa": "ml-dsa"}
"""Begin of a type's name -> how it signs."""
IN_TOKENS = ("rsa-2048", "rsa-3072", "ec-p256", "ec-p384", "ec-p521", "ec-secp256k1", "aes-128", "aes-256", "hmac-256")
"""Key types that a token of SoftHSM2 keeps, but for those that it takes minutes to make."""
MANY = max(500, int(20_000 * SCALE))
LIMIT_S = 600.0
MADE = 20
PARTS = 8
"""A file is damaged, and cut off, at the begin of each, and at its last byte."""


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[EtcdCluster]:
    """Three members, with mutual TLS."""
    made = EtcdCluster(tmp_path / "etcd", 3, tls=True)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Where the tokens of every cluster are."""
    made = SoftHsm(tmp_path / "softhsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(made.configuration))
    return made


@pytest.fixture
def make(tmp_path: Path, tokens: SoftHsm) -> Iterator[Callable[..., Cluster]]:
    """Make clusters, none of them started."""
    made: list[Cluster] = []

    def cluster(
        name: str, etcd: EtcdCluster | None = None, *, master_key: str = "", in_tokens: bool = False
    ) -> Cluster:
        (tmp_path / name).mkdir()
        made.append(Cluster(tmp_path / name, "uvloop", 2))
        if master_key:
            made[-1].master_key.write_text(master_key)
        for node in made[-1].nodes:
            store = {} if etcd is None else {"store": etcd.store_toml()}
            made[-1].write_node(node, **store, **(tokens.settings_for(made[-1], node) if in_tokens else {}))
        return made[-1]

    yield cluster
    for each in made:
        each.stop()


def backup(cluster: Cluster, *arguments: object, code: int = 0) -> str:
    """Run `hsmctl backup` at the last node of a cluster."""
    socket = cluster.folder / "state" / cluster.nodes[-1].name / "admin.sock"
    done = run_hsmctl_text("backup", *arguments, "--socket", socket, environment=os.environ, timeout_s=LIMIT_S)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def described(cluster: Cluster, *arguments: object) -> dict[str, int]:
    counts: dict[str, int] = json.loads(backup(cluster, *arguments, "--json"))["counts"]
    return counts


def mechanism_of(key_type: str) -> str | None:
    if key_type in ("ed25519", "ed448"):
        return SIGNATURES["ed"]
    return next((way for begin, way in SIGNATURES.items() if begin != "ed" and key_type.startswith(f"{begin}-")), None)


class Churn:
    """Makes keys and destroys every other one, until it is stopped; what it has been told is in `kept` and `gone`."""

    def __init__(self, cluster: Cluster) -> None:
        self.made = 0
        self.faults: list[str] = []
        self._config = cluster.client_config
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(4)]

    def __enter__(self) -> "Churn":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        with sync.connect(self._config) as hsm:
            while not self._stopped.is_set():
                try:
                    key = hsm.generate_key("ec-p256", label="churn")
                    self.made += 1
                    if self.made % 2:
                        key.destroy()
                except HsmError as error:
                    self.faults.append(str(error))


@pytest.mark.parametrize(
    ("driver", "in_tokens"), [("sqlite", False), ("etcd", False), ("sqlite", True), ("etcd", True)]
)
def test_a_lost_cluster_comes_back_elsewhere_with_every_key_of_every_type(
    make: Callable[..., Cluster], etcd: EtcdCluster, tmp_path: Path, driver: str, in_tokens: bool
) -> None:
    first = make("first", etcd if driver == "etcd" else None, in_tokens=in_tokens)
    first.start()
    file = tmp_path / "x.backup"
    # An RSA-8192 key takes minutes on a busy machine.
    with sync.connect(first.client_config, timeout_s=LIMIT_S) as hsm:
        belongings = Belongings(hsm)
        keys = {name: hsm.generate_key(name, label=f"of {name}") for name in (IN_TOKENS if in_tokens else KEY_TYPES)}
        infos = {name: key.describe() for name, key in keys.items()}
        with Churn(first) as churn:
            made = described(first, "create", "--out", file, "--prove", "all")
            assert not churn.faults
        assert made["proven"] == made["authentic"] - made.get("destroyed", 0) - 1  # the object
    assert churn.made > 0
    first.stop()
    master_key = first.master_key.read_text()
    shutil.rmtree(first.folder)
    if driver == "etcd":
        etcd.empty()

    second = make("second", None if driver == "etcd" else etcd, master_key=master_key, in_tokens=in_tokens)
    second.start()
    looked = described(second, "restore", "--dry-run", file)
    assert looked.get("made", 0) + looked.get("made, destroyed", 0) == made["authentic"]
    with sync.connect(second.client_config) as hsm:
        assert not hsm.find_keys()
        assert described(second, "restore", file) == looked
        belongings.check(hsm)
        for name, info in infos.items():
            key = hsm.key(info.key_id.hex())
            assert key.describe() == info  # its public key too
            mechanism = mechanism_of(name)
            if mechanism is not None:
                key.verify(MESSAGE, key.sign(MESSAGE, mechanism), mechanism)
    assert described(second, "restore", file).keys() <= {"there", "changed since"}
    # Whatever it is for, each key does it.
    again = described(second, "create", "--out", tmp_path / "again.backup", "--prove", "all")
    assert again["proven"] == made["proven"]


def test_many_keys_are_read_and_written_in_parts(make: Callable[..., Cluster], tmp_path: Path) -> None:
    first = make("first")
    first.start()
    stop_nodes(first)
    ids = fill_file(first, MANY, "ed25519")
    start_nodes(first)
    file = tmp_path / "x.backup"
    assert described(first, "create", "--out", file)["authentic"] == MANY
    master_key = first.master_key.read_text()
    first.stop()
    second = make("second", master_key=master_key)
    second.start()
    assert described(second, "restore", file) == {"made": MANY}
    with sync.connect(second.client_config) as hsm:
        for key_id in ids[:: MANY // 50]:
            key = hsm.key(key_id)
            key.verify(MESSAGE, key.sign(MESSAGE, "eddsa"), "eddsa")


def test_another_master_key_opens_nothing(make: Callable[..., Cluster], tmp_path: Path) -> None:
    first, other = make("first"), make("other")
    first.start()
    other.start()
    file = tmp_path / "x.backup"
    with sync.connect(first.client_config) as hsm:
        hsm.generate_key("ec-p256")
    backup(first, "create", "--out", file)
    for command in ("restore", "verify"):
        line = backup(other, command, file, code=1)
        assert line.count("\n") == 1
        assert "which this node does not hold" in line
    with sync.connect(other.client_config) as hsm:
        assert not hsm.find_keys()


def test_a_damaged_or_truncated_file_changes_nothing_in_an_empty_cluster(
    make: Callable[..., Cluster], etcd: EtcdCluster, tmp_path: Path
) -> None:
    first = make("first")
    first.start()
    good, bad = tmp_path / "x.backup", tmp_path / "bad.backup"
    with sync.connect(first.client_config) as hsm:
        for number in range(MADE):
            hsm.generate_key("ec-p256", label=f"key-{number}")
    backup(first, "create", "--out", good)
    second = make("second", etcd, master_key=first.master_key.read_text())
    second.start()
    before = [node.status()["applied_revision"] for node in second.nodes]
    whole = good.read_bytes()
    cuts = [len(whole) * part // PARTS for part in range(PARTS)] + [len(whole) - 1]
    files = [whole[:cut] for cut in cuts]
    files += [whole[:cut] + bytes([whole[cut] ^ 1]) + whole[cut + 1 :] for cut in cuts]
    files.append(whole + b"x")
    for content in files:
        bad.write_bytes(content)
        assert backup(second, "restore", bad, code=1).count("\n") == 1
    with sync.connect(second.client_config) as hsm:
        assert not hsm.find_keys()
        assert [node.status()["applied_revision"] for node in second.nodes] == before
        assert described(second, "restore", good) == {"made": MADE}
        for key in hsm.find_keys():
            key.verify(MESSAGE, key.sign(MESSAGE, "ecdsa-sha256"), "ecdsa-sha256")


def test_a_backup_of_before_a_rotation_comes_back_through_a_cluster_with_the_old_key(
    make: Callable[..., Cluster], tmp_path: Path
) -> None:
    first = make("first")
    first.start()
    file, newer = tmp_path / "x.backup", tmp_path / "newer.backup"
    with sync.connect(first.client_config) as hsm:
        key_id = hsm.generate_key("ed25519").id
    backup(first, "create", "--out", file)
    old = first.master_key.read_text()
    first.stop()

    between = make("between", master_key=old)
    new = between.folder / "new.key"
    new.touch(mode=0o600)
    new.write_text("ab" * 32)
    file_of = '{{ backend = "software", master_key = {{ file = "{}" }}, next_master_key = {{ file = "{}" }} }}'
    for node in between.nodes:
        between.write_node(node, keystore=file_of.format(between.master_key, new))
    between.start()
    assert described(between, "restore", file) == {"made": 1}
    environment = {**os.environ, "HSM_CLIENT_CONFIG": str(between.config_of("operator"))}
    done = run_hsmctl_text("master-key", "rotate", "--wait", environment=environment, timeout_s=LIMIT_S)
    assert done.returncode == 0, done.stderr
    backup(between, "create", "--out", newer)

    now = make("now", master_key="ab" * 32)
    now.start()
    assert "which this node does not hold" in backup(now, "restore", file, code=1)
    assert described(now, "restore", newer) == {"made": 1}
    with sync.connect(now.client_config) as hsm:
        key = hsm.key(key_id)
        key.verify(MESSAGE, key.sign(MESSAGE, "eddsa"), "eddsa")
