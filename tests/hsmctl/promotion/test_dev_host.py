"""The DR site of a running `hsmctl dev`: which daemons those are, and how they end."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsmctl.dev.folder import Folder
from hsmctl.dev.manifest import Entry, Manifest, StoreEntry
from hsmctl.failures import CommandError
from hsmctl.promotion import dev_host as module
from hsmctl.promotion.dev_host import DevHost

SLEEPS = "import time; time.sleep(60)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); {SLEEPS}"


class Running:
    """Plays the `hsmctl dev` that has the folder; its daemons do nothing."""

    def __init__(self, path: Path) -> None:
        self.folder = Folder(path)
        self.folder.take()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, suffix: str, code: str = SLEEPS) -> int:
        command = [sys.executable, "-c", code, "--config", str(self.folder.path / f"{name}.{suffix}")]
        self.processes[name] = subprocess.Popen(command, stdout=subprocess.PIPE)
        return self.processes[name].pid

    def publish(self, *, stores: bool = True, node: int = 0, member: int = 0) -> None:
        nodes = [Entry("node-1", "zurich", 0, "127.0.0.1:1", ""), Entry("node-5", "alps", node, "127.0.0.1:2", "")]
        store = [StoreEntry("etcd-zurich", "zurich", 0, "127.0.0.1:3")]
        store.append(StoreEntry("etcd-alps", "alps", member, "127.0.0.1:4"))
        Manifest(str(self.folder.client_config), [], nodes if stores else nodes[:1], store if stores else []).write(
            self.folder.manifest
        )


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path / "dev")
    yield made
    for process in made.processes.values():
        process.kill()
        process.communicate()
    made.folder.release()


@pytest.fixture
def restarted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    monkeypatch.setattr(module, "restart", lambda _folder, name: names.append(name))
    return names


def test_the_daemons_of_the_dr_site_are_its(running: Running) -> None:
    running.publish()
    host, folder = DevHost(running.folder), running.folder.path
    assert host.sockets == [folder / "state" / "node-5" / "admin.sock"]
    assert host.node_files == [folder / "node-5.toml"]
    assert host.member_file == folder / "etcd-alps.json"
    assert host.store is not None
    assert host.store.tls is not None
    assert (host.store.endpoint, host.store.tls.certificate) == ("127.0.0.1:4", folder / "node-5-store.pem")


def test_another_site_is_its_where_it_is_named(running: Running) -> None:
    running.publish()
    host, folder = DevHost(running.folder, "zurich"), running.folder.path
    assert host.sockets == [folder / "state" / "node-1" / "admin.sock"]
    assert (host.member_file, host.recovery) == (folder / "etcd-zurich.json", "127.0.0.1:4")
    assert DevHost(running.folder).recovery == "127.0.0.1:4"
    with pytest.raises(CommandError, match="there is no site 'basel' here; there are alps, zurich"):
        DevHost(running.folder, "basel")


def test_what_runs_is_not_started_again(running: Running, restarted: list[str]) -> None:
    running.publish(node=running.start("node-5", "toml"), member=running.start("etcd-alps", "json"))
    host = DevHost(running.folder)
    host.start_nodes()
    host.start_member()
    assert restarted == []
    host.stop_nodes()
    host.start_nodes()
    assert restarted == ["node-5"]


def test_a_cluster_without_a_dr_site_has_a_node_that_says_so(running: Running) -> None:
    running.publish(stores=False)
    host = DevHost(running.folder)
    assert host.sockets == [running.folder.path / "state" / "node-1" / "admin.sock"]
    assert host.store is None
    with pytest.raises(CommandError, match="no members of a store"):
        host.stop_member()


def test_daemons_end_and_are_started_by_hsmctl_dev(running: Running, restarted: list[str]) -> None:
    running.publish(node=running.start("node-5", "toml"), member=running.start("etcd-alps", "json"))
    host = DevHost(running.folder)
    host.stop_member()
    assert running.processes["etcd-alps"].wait(10) == -15
    host.start_member()
    host.restart_nodes()
    assert running.processes["node-5"].wait(10) == -15
    assert restarted == ["etcd-alps", "node-5"]
    host.stop_member()  # It has ended: nobody else is hit.


def test_one_that_does_not_end_is_killed(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.05)
    running.publish(member=running.start("etcd-alps", "json", DEAF))
    output = running.processes["etcd-alps"].stdout
    assert output is not None
    output.readline()
    DevHost(running.folder).stop_member()
    assert running.processes["etcd-alps"].wait(10) == -9


def test_one_that_does_not_even_end_when_it_is_killed_is_named(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_S", 0.0)
    monkeypatch.setattr(module, "KILLED_S", 0.0)
    monkeypatch.setattr(module, "alive", lambda _entry, _manifest: True)
    sent: list[int] = []
    monkeypatch.setattr(module.os, "kill", lambda _pid, number: sent.append(number))
    running.publish(member=4_000_000)
    with pytest.raises(CommandError, match="etcd-alps was killed and did not end .* process 4000000 hangs at"):
        DevHost(running.folder).stop_member()
    assert sent == [signal.SIGTERM, signal.SIGKILL]


def test_programs_are_those_of_the_etcd_in_use(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.publish()
    monkeypatch.setattr(module, "get_etcd", lambda: tmp_path / "etcd")
    host = DevHost(running.folder)
    with pytest.raises(CommandError, match="etcdutl is not beside"):
        host.program("etcdutl")
    (tmp_path / "etcdutl").touch()
    assert host.program("etcdutl") == tmp_path / "etcdutl"


def test_a_folder_that_changed_meanwhile_is_named(running: Running) -> None:
    running.publish()
    host = DevHost(running.folder)
    running.publish(stores=False)
    with pytest.raises(CommandError, match="etcd-alps is gone from"):
        host.stop_member()
