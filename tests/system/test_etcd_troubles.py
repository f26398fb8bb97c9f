"""The engine's own troubles, with real nodes under load: what clients see of each, what says so, and the way out of it
as docs/how-to/store.md has it, typed from there. Quota and compaction are in `test_etcd`."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from etcd import EtcdCluster
from load import Load
from old_etcd import get_old_etcd
from programs import free_port, wait_until
from scale import SLACK
from store_stand import NOTICED_S, StoreStand, alive, run_bound

from hsm_client import sync
from hsm_client.errors import HsmError
from hsmctl.files import replace_file

MEMBERS = ("etcd-zurich", "etcd-geneva", "etcd-alps")
DAMAGE = b"\xa5" * 4096
PREFIX = b"redoubt/row/"
INTO_THE_VALUE = 100
"""Bytes from a key to the middle of its record, in a member's file."""
LIFETIME_S = 15.0 * SLACK
PADDING = 100_000
"""Bytes of a value beside the records, so that a member's file grows as it does in months."""
QUOTA = 16 << 20
DISK = "160m"
"""Etcd takes two files of 64 MB for its log at once."""


def damage_db(data: Path) -> None:
    """Overwrite half of the snapshot's pages."""
    path = data / "member" / "snap" / "db"
    with path.open("r+b") as file:
        file.seek(2 * len(DAMAGE))
        file.write(DAMAGE * max(1, path.stat().st_size // len(DAMAGE) // 2))


def damage_log(data: Path) -> None:
    """Overwrite the middle of what the log has."""
    path = max((data / "member" / "wal").glob("*.wal"))
    with path.open("r+b") as file:
        file.seek(len(path.read_bytes().rstrip(b"\0")) // 2)
        file.write(DAMAGE)


def damage_records(data: Path) -> None:
    """Change bytes within records, as a disk does that says nothing."""
    path = data / "member" / "snap" / "db"
    content = path.read_bytes()
    with path.open("r+b") as file:
        for found in re.finditer(PREFIX, content):
            file.seek(found.start() + INTO_THE_VALUE)
            file.write(DAMAGE[:8])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (damage_db, "Page expected to be"),
        (damage_log, "crc mismatch|raft log corrupted|max entry size|failed to .{,20}WAL"),
    ],
)
def test_a_member_with_a_damaged_disk_is_replaced_and_no_request_fails(
    stand: StoreStand, damage: Callable[[Path], None], said: str
) -> None:
    with stand.load() as load:
        stand.kill("etcd-alps")
        damage(stand.folder / "etcd" / "etcd-alps")
        log = stand.try_to_start("etcd-alps")
        assert re.search(said, log), re.findall(r'"level":"(?:panic|fatal)".{,300}', log)
        stand.wait_member("etcd-alps", usable=False)
        said_by_status = f"store member {stand.entry('etcd-alps')['address']} is out"
        stand.wait_problem(said_by_status, there=True)
        stand.wait_logged("node-3", "a member of the store is out.*" + stand.entry("etcd-alps")["address"])
        stand.make_keys()
        stand.follow("The disk of a member is damaged")
        stand.wait_member("etcd-alps", usable=True)
        stand.wait_problem(said_by_status, there=False)
        stand.make_keys()
    assert load.failed == {}
    assert load.latencies


def refused_change(stand: StoreStand, text: str = "") -> None:
    """See a change refused with that text, and that it says so at once."""
    begun = time.monotonic()
    with sync.connect(stand.client_config, retry=False) as hsm, pytest.raises(HsmError) as caught:
        hsm.generate_key("ec-p256")
    assert caught.value.status_name == "STORE_UNAVAILABLE"
    assert text in str(caught.value)
    assert time.monotonic() - begun < 2.0 * SLACK


def test_damage_that_members_find_while_they_run_stops_changes_alone_until_the_member_is_replaced(
    stand: StoreStand,
) -> None:
    for name in MEMBERS:
        stand.edit_member(name, experimental_corrupt_check_time=2 * 10**9)
        stand.restart(name)
        stand.wait_member(name, usable=True)
    stand.make_keys(20)
    with stand.load() as load:
        damage_records(stand.folder / "etcd" / "etcd-alps")
        line = stand.wait_logged("node-3", "a member of the store is out.*data differ")
        assert "replace the damaged one" in line
        refused_change(stand, "takes no changes for now, and operators must look at it")
        stand.kill("node-1")  # It starts all the same, and serves.
        stand.start_unready("node-1")
        stand.wait_logged("node-1", "this node starts without its registration.*the members' data differ")
        wait_state(stand, "node-1", "stale")
        stand.follow("The disk of a member is damaged")
        wait_state(stand, "node-1", "up")
        stand.make_keys()
    assert load.failed == {}


@contextlib.contextmanager
def small_disk(stand: StoreStand, name: str) -> Iterator[Path]:
    """Have a member's data on a file system of their own; return what fills it up when it is written to."""
    data = stand.folder / "etcd" / name
    stand.kill(name)
    kept = data.with_suffix(".kept")
    data.rename(kept)
    data.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", data], check=False)
    if mounted.returncode != 0:
        pytest.skip("a full disk takes a file system of its own, and only root mounts one")
    try:
        shutil.copytree(kept, data, dirs_exist_ok=True)
        stand.type(f"hsmctl dev start {name} --dir .")
        stand.wait_member(name, usable=True)
        yield data / "filler"
    finally:
        if alive(stand.entry(name)["pid"]):
            stand.kill(name)
        subprocess.run(["umount", "--lazy", data], check=True)


def fill(stand: StoreStand, name: str, filler: Path) -> None:
    """Fill a member's disk, and write until it ends of it."""
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1 << 16))
    pid, writable = stand.entry(name)["pid"], stand.entry("etcd-zurich")["address"]

    def ended() -> bool:
        with contextlib.suppress(subprocess.SubprocessError):  # It may be the one that the quorum needs.
            stand.etcdctl("put", "padding", "x" * PADDING, address=writable)
        return not alive(pid)

    wait_until(ended, lambda: f"{name} ends of its full disk; its log:\n{stand.log(name)[-2000:]}", 2 * NOTICED_S)
    assert "no space left on device" in stand.log(name)


def test_a_member_with_a_full_disk_costs_nothing_and_two_cost_the_changes_until_they_have_room(
    stand: StoreStand,
) -> None:
    with small_disk(stand, "etcd-alps") as alps, small_disk(stand, "etcd-geneva") as geneva, stand.load() as load:
        fill(stand, "etcd-alps", alps)
        stand.wait_member("etcd-alps", usable=False)
        stand.make_keys()
        fill(stand, "etcd-geneva", geneva)
        wait_until(lambda: stand.state("node-1") == "stale", lambda: stand.state("node-1"))
        stand.wait_logged("node-1", "no leader")
        refused_change(stand)
        alps.unlink()
        stand.follow("The disk of a member is full")
        wait_until(lambda: stand.state("node-1") == "up", lambda: stand.state("node-1"))
        stand.make_keys()
        geneva.unlink()
        stand.follow("The disk of a member is full", etcd_alps="etcd-geneva")
        for name in MEMBERS:
            stand.wait_member(name, usable=True)
    assert load.failed == {}


def wait_state(stand: StoreStand, node: str, state: str) -> None:
    """Wait until a node says so of itself."""
    wait_until(lambda: stand.state(node) == state, lambda: stand.log(node)[-2000:])


def fill_quota(stand: StoreStand) -> None:
    """Write revisions of one key until the members have no room."""
    address = stand.entry("etcd-zurich")["address"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        for _ in range(QUOTA // PADDING + 1):
            stand.etcdctl("put", "padding", "x" * PADDING, address=address)
    assert "space exceeded" in caught.value.stderr


def test_nodes_that_are_killed_while_the_quota_is_full_start_serve_and_change_keys_when_there_is_room(
    stand: StoreStand,
) -> None:
    for name in MEMBERS:
        stand.edit_member(name, quota_backend_bytes=QUOTA)
        stand.restart(name)
        stand.wait_member(name, usable=True)
    stand.make_keys()
    with stand.load() as load:
        fill_quota(stand)
        refused_change(stand, "takes no changes for now, and operators must look at it")
        for name in ("node-1", "node-2", "node-3", "node-4"):
            stand.kill(name)
            stand.start_unready(name)
            wait_state(stand, name, "stale")
            stand.wait_logged(name, "this node starts without its registration")
        refused_change(stand, "takes no changes for now, and operators must look at it")
        with sync.connect(stand.client_config) as hsm:  # Of whoever could confirm a change nobody is left.
            hsm.key(stand.key.hex()).sign(b"without room", "ecdsa-sha256")
        stand.follow("The quota of the store is full")
        for name in ("node-1", "node-2", "node-3", "node-4"):
            wait_state(stand, name, "up")
        stand.make_keys()
    assert load.failed == {}


def test_another_cluster_at_a_members_address_is_named_and_never_written_to(stand: StoreStand, tmp_path: Path) -> None:
    program = Path(os.readlink(f"/proc/{stand.entry('etcd-geneva')['pid']}/exe"))
    peer = f"http://127.0.0.1:{free_port()}"
    files = {name: stand.folder / file for name, file in _PEM.items()}
    with stand.load() as load:
        stand.kill("etcd-geneva")
        address = stand.entry("etcd-geneva")["address"]
        command = [
            str(program), "--name", "strange", "--data-dir", str(tmp_path / "strange"), "--log-level", "warn",
            "--listen-client-urls", f"https://{address}", "--advertise-client-urls", f"https://{address}",
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"strange={peer}",
            "--initial-cluster-token", "strange", "--client-cert-auth",
            *(part for name, path in files.items() for part in (f"--{name}", str(path))),
        ]  # fmt: skip
        strange = run_bound(command, tmp_path / "strange.log")
        try:
            line = stand.wait_logged("node-3", "a member of the store is out.*belongs to etcd cluster")
            assert re.search(r"belongs to etcd cluster [0-9a-f]+, not [0-9a-f]+: correct \[store\] endpoints", line)
            stand.wait_member("etcd-geneva", usable=False)
            stand.make_keys()
            said = stand.try_to_start_node("node-1")
            assert "[store] endpoints lead to members of different etcd clusters" in said
            assert len(said.strip().splitlines()) == 1
            assert stand.etcdctl("get", "", "--prefix", "--keys-only", address=address)["header"]["revision"] == 1
        finally:
            strange.kill()
            strange.wait()
        stand.type("hsmctl dev start etcd-geneva --dir .\nhsmctl dev start node-1 --dir .")
        stand.wait_member("etcd-geneva", usable=True)
    assert load.failed == {}


def test_a_member_that_was_set_up_anew_with_another_token_stays_out_and_comes_back_as_a_damaged_one(
    stand: StoreStand,
) -> None:
    with stand.load() as load:
        stand.kill("etcd-geneva")
        shutil.rmtree(stand.folder / "etcd" / "etcd-geneva")
        token = stand.member_settings("etcd-geneva")["initial-cluster-token"]
        stand.edit_member("etcd-geneva", initial_cluster_token="wrong")
        stand.type("hsmctl dev start etcd-geneva --dir .")
        stand.wait_logged("etcd-geneva", "cluster ID mismatch")
        stand.wait_member("etcd-geneva", usable=False)
        stand.make_keys()
        stand.edit_member("etcd-geneva", initial_cluster_token=token)
        stand.follow("The disk of a member is damaged", etcd_alps="etcd-geneva")
        stand.wait_member("etcd-geneva", usable=True)
        stand.make_keys()
    assert load.failed == {}


def test_a_certificate_of_the_store_s_ca_that_is_no_member_s_lets_nobody_in_as_a_member(stand: StoreStand) -> None:
    address = stand.entry("etcd-alps")["address"]
    files = [(f"etcd-alps{part}.pem", f"node-5-store{part}.pem") for part in ("", "-key")]
    own = {name: (stand.folder / name).read_bytes() for name, _ in files}
    with stand.load() as load:
        stand.kill("etcd-alps")
        for name, others in files:
            replace_file(stand.folder / name, (stand.folder / others).read_bytes(), 0o600)
        since = len(stand.log("etcd-zurich"))
        stand.type("hsmctl dev start etcd-alps --dir .")
        stand.wait_logged(
            "etcd-zurich", "rejected connection on peer endpoint.*certificate authentication failed", since
        )
        stand.wait_member("etcd-alps", usable=False)
        stand.make_keys()
        stand.kill("etcd-alps")
        for name, pem in own.items():
            replace_file(stand.folder / name, pem, 0o600)
        stand.type("hsmctl dev start etcd-alps --dir .")
        stand.wait_member("etcd-alps", usable=True)
        wait_until(lambda: follows(stand, address), lambda: "it has everything")
    assert load.failed == {}


def follows(stand: StoreStand, address: str) -> bool:
    """Whether a member has come as far as another one."""
    other = stand.entry("etcd-zurich")["address"]
    one, two = [stand.etcdctl("endpoint", "status", address=each)[0]["Status"]["header"] for each in (other, address)]
    return bool(two["revision"] >= one["revision"])


def test_certificates_that_expire_while_all_run_are_renewed_without_a_restart_of_the_node(stand: StoreStand) -> None:
    for name in ("etcd-geneva", "node-1-store"):
        stand.issue_for(name, LIFETIME_S)
    end = time.time() + LIFETIME_S
    stand.type('kill -HUP "$(pid node-1)"')
    stand.wait_logged("node-1", "configuration loaded")
    pid = stand.entry("node-1")["pid"]
    with stand.load() as load:
        wait_until(lambda: time.time() > end + 1.0, lambda: "they expire", 2 * LIFETIME_S)
        assert stand.state("node-1") == "up", "connections that are open stay open"
        stand.type('kill -HUP "$(pid node-3)"')  # It connects anew.
        stand.wait_logged(
            "node-3", "a member of the store is out.*renew the one that expired.*CERTIFICATE_VERIFY_FAILED"
        )
        stand.wait_member("etcd-geneva", usable=False)
        for name in MEMBERS:
            stand.restart(name)
        wait_until(lambda: stand.state("node-1") == "stale", lambda: stand.state("node-1"))
        stand.wait_logged("node-1", "this node's certificate for the store expired on .*: renew it, then reload")
        stand.make_keys()
        stand.follow("A certificate expires")
        wait_until(lambda: stand.state("node-1") == "up", lambda: stand.log("node-1")[-2000:])
        stand.wait_member("etcd-geneva", usable=True)
        stand.make_keys()
    assert load.failed == {}
    assert stand.entry("node-1")["pid"] == pid


def test_members_of_an_old_version_are_refused_in_one_line_until_they_are_upgraded(tmp_path: Path) -> None:
    members = EtcdCluster(tmp_path / "etcd", 3, tls=True)
    new, members.program = members.program, get_old_etcd()
    cluster = Cluster(tmp_path, "uvloop", 2)
    try:
        members.start()
        for node in cluster.nodes:
            cluster.write_node(node, store=members.store_toml())
        done = cluster.nodes[0].run_to_end()
        assert done.returncode == 2
        assert re.search(r"runs etcd 3\.4\.23\); upgrade them to 3\.5\.30 or newer", done.stderr)
        assert len(done.stderr.strip().splitlines()) == 1
        members.program = new
        leader = members.leader()
        for new_ones, member in enumerate(sorted(members.members, key=lambda member: member is leader), 1):
            member.kill()
            member.start()
            member.wait_ready()
            if new_ones == 2:
                cluster.start()  # For a store that is not there yet more than half have to be new.
                with sync.connect(cluster.client_config) as hsm:
                    key = bytes.fromhex(hsm.generate_key("ec-p256").id)
        with Load(cluster.client_config, clients=4, rate=20.0, key_id=key, verify=False) as load:
            wait_until(lambda: len(load.latencies) > 20, lambda: str(load.failed))
        assert load.failed == {}
        for node in cluster.nodes:
            assert "runs etcd 3.4.23" in node.log(), "it was said of the others while they were old"
    finally:
        cluster.stop()
        members.stop()


_PEM = {"cert-file": "etcd-geneva.pem", "key-file": "etcd-geneva-key.pem", "trusted-ca-file": "store-ca.pem"}
