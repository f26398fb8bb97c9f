"""A host whose daemons are systemd's: its files, and what systemctl is asked for."""

from pathlib import Path

import pytest

from hsmctl.failures import CommandError
from hsmctl.promotion.host import LocalStore, StoreTls
from hsmctl.promotion.systemd_host import SystemdHost

NODE = """
name = "{name}"
state_dir = "/var/lib/redoubt/{name}"

[store]
driver = "etcd"
endpoints = ["203.0.113.10:2379", "192.0.2.10:2379"]
tls = {{ ca = "tls/store-ca.pem", certificate = "tls/{name}.pem", key = "/keys/{name}.pem" }}
"""


MEMBER = (
    "name: etcd-alps\ndata-dir: /d\ninitial-advertise-peer-urls: https://203.0.113.10:2380\n"
    "advertise-client-urls: https://203.0.113.10:2379\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("alp-1", "alp-2"):
        (tmp_path / f"{name}.toml").write_text(NODE.format(name=name))
    (tmp_path / "cluster.toml").write_text('[cluster]\nname = "dev"\n')
    (tmp_path / "broken.toml").write_text("[")
    return tmp_path


@pytest.fixture
def systemctl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that notes its arguments, and runs what is in the file `does`."""
    programs = tmp_path / "programs"
    programs.mkdir()
    calls, does = programs / "calls", programs / "does"
    does.write_text("")
    program = programs / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n. {does}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    return programs


def test_its_nodes_are_found_by_their_files(folder: Path) -> None:
    host = SystemdHost(folder)
    assert host.sockets == [Path(f"/var/lib/redoubt/{name}/admin.sock") for name in ("alp-1", "alp-2")]
    assert [file.parent for file in host.node_files] == [host.member_file.parent] * 2
    files = StoreTls(folder / "tls/store-ca.pem", folder / "tls/alp-1.pem", Path("/keys/alp-1.pem"))
    (folder / "etcd.yaml").write_text(MEMBER)
    assert host.store == LocalStore("203.0.113.10:2379", files)
    assert host.recovery == ""
    assert host.member_file == folder / "etcd.yaml"


def test_the_member_of_the_dr_site_is_saved_wherever_it_is_named(folder: Path) -> None:
    file = folder / "alp-1.toml"
    file.write_text(file.read_text().replace("[store]", '[store]\ndr_endpoint = "192.0.2.10:2379"'))
    store = SystemdHost(folder).store
    assert store is not None
    assert store.endpoint == "192.0.2.10:2379"
    assert SystemdHost(folder).recovery == "192.0.2.10:2379"


def test_without_a_name_for_it_the_member_of_the_host_is_saved_and_no_other(folder: Path) -> None:
    file, host = folder / "etcd.yaml", SystemdHost(folder)
    file.write_text(MEMBER.replace("203.0.113.10:2379", "192.0.2.10:2379"))
    assert host.store is not None
    assert host.store.endpoint == "192.0.2.10:2379", "not the first one"
    file.write_text(MEMBER.replace("203.0.113.10:2379", "203.0.113.11:2379"))
    with pytest.raises(CommandError, match="are none of the nodes' .* endpoints; set dr_endpoint"):
        _ = host.store


def test_units_are_stopped_and_started(folder: Path, systemctl: Path) -> None:
    host = SystemdHost(folder)
    host.stop_member()
    host.start_member()
    host.restart_nodes()
    host.stop_nodes()
    host.start_nodes()
    assert (systemctl / "calls").read_text().splitlines() == [
        "stop redoubt-etcd.service",
        "start redoubt-etcd.service",
        "restart hsm-node@alp-1.service hsm-node@alp-2.service",
        "stop hsm-node@alp-1.service hsm-node@alp-2.service",
        "start hsm-node@alp-1.service hsm-node@alp-2.service",
    ]


def test_a_unit_that_fails_is_named_with_its_journal(
    folder: Path, systemctl: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = SystemdHost(folder)
    (systemctl / "does").write_text("echo 'Job failed.' >&2; exit 1\n")
    with pytest.raises(CommandError, match=r"failed \(Job failed\.\); see `journalctl -u redoubt-etcd\.service`"):
        host.start_member()
    (systemctl / "does").write_text("exit 5\n")
    with pytest.raises(CommandError, match=r"\(exit code 5\)"):
        host.stop_member()
    monkeypatch.setattr("hsmctl.promotion.systemd_host.STEP_S", 0.1)
    (systemctl / "does").write_text("exec sleep 60\n")
    with pytest.raises(CommandError, match=r"took longer than 0\.1 s"):
        host.stop_member()
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CommandError, match="systemctl is not here"):
        host.stop_member()


def test_a_host_without_nodes_or_programs_says_so(folder: Path, systemctl: Path) -> None:
    with pytest.raises(CommandError, match="no file of a node is in"):
        SystemdHost(folder / "programs")
    program = systemctl / "etcdutl"
    program.write_text("")
    program.chmod(0o755)
    host = SystemdHost(folder)
    assert host.program("etcdutl") == program
    with pytest.raises(CommandError, match="etcd-none is not on PATH"):
        host.program("etcd-none")


def test_a_store_without_members_or_without_tls_is_told_from_others(folder: Path) -> None:
    first = folder / "alp-1.toml"
    first.write_text('name = "alp-1"\nstate_dir = "s"\n[store]\npath = "store.db"\n')
    assert SystemdHost(folder).store is None
    first.write_text('name = "alp-1"\nstate_dir = "s"\n[store]\nendpoints = ["127.0.0.1:1"]\ntls = "off"\n')
    assert SystemdHost(folder).store == LocalStore("127.0.0.1:1", None)


def test_a_file_that_may_not_be_read_is_named(folder: Path) -> None:
    (folder / "folder.toml").mkdir()
    with pytest.raises(CommandError, match=r"cannot read .*folder\.toml"):
        SystemdHost(folder)
