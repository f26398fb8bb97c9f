"""A daemon's host: configurations, rights of files, ports."""

import datetime
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hsmctl.certificates import LEAF_LIFETIME, Authority
from hsmctl.doctor import host as host_module
from hsmctl.doctor.host import Host

CLUSTER = """
[cluster]
name = "dev"
package = "sandbox"
[[sites]]
name = "local"
[[nodes]]
name = "node-1"
site = "local"
paths = [{ uplink = "loopback", address = "127.0.0.1:2420" }]
[[partitions]]
id = 1
name = "dev"
clients = [{ identity = "spiffe://dev/client/dev", roles = ["use"] }]
"""
PROXY = """
cluster = "cluster.toml"
name = "proxy-1"
site = "local"
tls = "off"
tls_off_identity = "spiffe://dev/client/dev"
"""
NODE = """
cluster = "cluster.toml"
name = "node-1"
tls = "off"
state_dir = "state"
[store]
path = "store.db"
[keystore]
master_key = { file = "master.key" }
"""


@pytest.fixture
def folder(tmp_path: Path, free_ports: list[int]) -> Path:
    """A host with a proxy and a node, all in order but that nothing runs."""
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    (tmp_path / "client.toml").write_text("proxies = []\n")
    listen, admin, node_listen, node_admin = (f"127.0.0.1:{port}" for port in free_ports)
    (tmp_path / "proxy.toml").write_text(f'listen = "{listen}"\nadmin = "{admin}"\n{PROXY}')
    (tmp_path / "node.toml").write_text(f'listen = "{node_listen}"\nadmin = "{node_admin}"\n{NODE}')
    (tmp_path / "master.key").write_text("ab" * 32)
    (tmp_path / "master.key").chmod(0o600)
    (tmp_path / "state").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture
def free_ports() -> list[int]:
    """Four ports on which nobody listens."""
    with socket.socket() as a, socket.socket() as b, socket.socket() as c, socket.socket() as d:
        for each in (a, b, c, d):
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in (a, b, c, d)]


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Daemons whose --check takes every file as it is, without a process."""

    def run(command: list[str], **_: Any) -> Any:
        import json
        import tomllib

        tables = tomllib.loads(Path(command[command.index("--config") + 1]).read_text())
        return subprocess.CompletedProcess(command, 0, json.dumps(tables | {"configuration_hash": "ab" * 32}), "")

    monkeypatch.setattr(host_module.subprocess, "run", run)


def test_the_daemons_themselves_check_their_configurations(folder: Path) -> None:
    seen = Host([folder])
    assert seen.configuration_findings() == []
    assert {daemon.kind: daemon.taken for daemon in seen.daemons} == {"node": True, "proxy": True}
    assert list(seen.hashes) == [str(folder / "proxy.toml")]
    (folder / "master.key").chmod(0o644)
    [found] = Host([folder / "node.toml"]).configuration_findings()
    assert "the master key is open to others" in found.wrong
    assert (found.subject, found.advice) == (str(folder / "node.toml"), "chmod 600 it")


def test_what_a_daemon_does_not_take_is_looked_at_as_it_is_written(folder: Path) -> None:
    proxy = folder / "proxy.toml"
    proxy.write_text(proxy.read_text() + "unknown = 1\n")
    seen = Host([proxy])
    assert "unknown" in seen.configuration_findings()[0].wrong
    assert [daemon.taken for daemon in seen.daemons] == [False]
    assert [found.wrong for found in seen.findings("ports")] == ["nothing listens there"] * 2


def test_what_a_daemon_warns_of_is_a_warning(folder: Path) -> None:
    cluster = folder / "cluster.toml"
    path = '{ uplink = "lo", address = "192.0.2.7:2420" }'
    more = f'[[sites]]\nname = "far"\n[[nodes]]\nname = "far-1"\nsite = "far"\npaths = [{path}]\n'
    cluster.write_text(f"{cluster.read_text()}\n{more}")
    [found] = Host([folder / "node.toml"]).configuration_findings()
    assert (found.severity, found.subject) == ("warning", str(folder / "node.toml"))
    assert "each host makes a store with keys of its own" in found.wrong
    assert found.advice == 'set driver = "etcd" in [store]'


@pytest.mark.usefixtures("checked")
def test_a_folder_without_daemons_and_a_file_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    assert "no proxy.toml or node.toml" in Host([tmp_path]).configuration_findings()[0].wrong
    assert "No such file" in Host([tmp_path / "proxy.toml"]).configuration_findings()[0].wrong
    (tmp_path / "x.toml").write_text("= nonsense")
    assert "it cannot be read" in Host([tmp_path]).configuration_findings()[0].wrong


@pytest.mark.usefixtures("checked")
def test_files_that_others_can_change_are_named_with_their_mode(folder: Path) -> None:
    assert Host([folder]).findings("files") == []
    (folder / "store.db").touch()
    for name, mode in (("node.toml", 0o666), ("cluster.toml", 0o646), ("state", 0o777), ("store.db", 0o604)):
        (folder / name).chmod(mode)
    seen = [(Path(found.subject).name, found.wrong) for found in Host([folder / "node.toml"]).findings("files")]
    assert seen == [
        ("node.toml", "everybody can change it (mode 0666)"),
        ("cluster.toml", "everybody can change who may do what (mode 0646)"),
        ("state", "everybody can change the node's state (mode 0777)"),
        ("store.db", "everybody can open the store (mode 0604)"),
    ]


@pytest.mark.usefixtures("checked")
def test_a_missing_state_directory_is_said(folder: Path) -> None:
    (folder / "state").rmdir()
    assert [found.wrong for found in Host([folder]).findings("files")] == ["the state directory is missing"]


@pytest.mark.usefixtures("checked")
def test_a_daemon_that_does_not_run_is_a_warning(folder: Path) -> None:
    found = Host([folder / "proxy.toml"]).findings("ports")
    assert [(each.severity, each.wrong) for each in found] == [("warning", "nothing listens there")] * 2
    assert "systemctl start hsm-proxy`" in found[0].advice
    assert "hsm-node@node-1" in Host([folder / "node.toml"]).findings("ports")[0].advice


@pytest.mark.usefixtures("checked")
def test_a_port_that_another_program_has_is_named_with_it(folder: Path, free_ports: list[int]) -> None:
    with socket.create_server(("127.0.0.1", free_ports[0])):
        found = Host([folder / "proxy.toml"]).findings("ports")[0]
    assert found.severity == "error"
    assert "has the port" in found.wrong


@pytest.mark.usefixtures("checked")
def test_an_address_that_is_not_of_this_host_is_said_and_a_port_taken_twice(folder: Path) -> None:
    proxy = folder / "proxy.toml"
    (folder / "second.toml").write_text(proxy.read_text())
    wrongs = [found.wrong for found in Host([folder]).findings("ports")]
    assert wrongs.count(f"{proxy} has it too") == 2
    proxy.write_text('listen = "192.0.2.1:2410"\n' + PROXY)
    assert "it cannot listen there" in Host([proxy]).findings("ports")[0].wrong


@pytest.mark.usefixtures("checked")
def test_certificates_of_daemons_are_looked_at(folder: Path) -> None:
    assert Host([folder]).findings("certificates") == []
    proxy = folder / "proxy.toml"
    tls = 'tls = { ca = "ca.pem", certificate = "p.pem", key = "p-key.pem" }'
    proxy.write_text(proxy.read_text().replace('tls = "off"', tls))
    subjects = [Path(found.subject).name for found in Host([proxy]).findings("certificates")]
    assert subjects == ["ca.pem", "p.pem", "p-key.pem"]


@pytest.mark.usefixtures("checked")
def test_what_a_node_shows_to_the_store_is_looked_at_and_may_have_any_name(folder: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    authority = Authority.create("store", now)
    (folder / "store-ca.pem").write_bytes(authority.certificate_pem)
    node = folder / "node.toml"
    etcd = """driver = "etcd"
endpoints = ["192.0.2.1:2379"]
tls = { ca = "store-ca.pem", certificate = "s.pem", key = "s-key.pem" }"""
    text = node.read_text()
    assert 'path = "store.db"' in text
    node.write_text(text.replace('path = "store.db"', etcd))

    def found(begin: datetime.datetime) -> list[str]:
        certificate, key = authority.issue("spiffe://store/any/name", begin)
        (folder / "s.pem").write_bytes(certificate)
        (folder / "s-key.pem").touch(mode=0o600)
        (folder / "s-key.pem").write_bytes(key)
        return [each.wrong for each in Host([node]).findings("certificates")]

    assert found(now) == []
    [wrong] = found(now - 2 * LEAF_LIFETIME)
    assert wrong.startswith("the certificate expired on")
