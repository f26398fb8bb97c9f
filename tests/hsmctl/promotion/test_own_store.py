"""The member that is left is saved, restored under another token, and put in its old place."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_host import FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion.host import LocalStore
from hsmctl.promotion.own_store import make_own_store


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    return FakeHost(tmp_path)


def made(host: FakeHost) -> Path:
    assert host.store is not None
    return make_own_store(host, host.store, "dev", 2)


def test_the_member_gets_the_restored_data_and_the_old_ones_are_kept(host: FakeHost) -> None:
    kept = made(host)
    assert host.steps == ["stop member", "start member"]
    assert (kept / "old").read_text() == "what it was"
    assert (host.data / "member" / "new").exists()
    assert host.data.stat().st_mode & 0o777 == 0o700
    assert {path.name for path in host.folder.iterdir()} >= {"data", "data.before-epoch-2"}
    assert not list(host.folder.glob("*.snapshot")) + list(host.folder.glob("*.new"))
    saved, restored = host.calls
    assert "--endpoints https://127.0.0.1:2379" in saved
    assert "--cacert ca.pem --cert node.pem --key node-key.pem snapshot save" in saved
    for said in (
        "--name etcd-alps",
        "--initial-cluster etcd-alps=https://127.0.0.1:2380",
        "--initial-cluster-token dev-epoch-2",
        "--bump-revision 1000000 --mark-compacted",
    ):
        assert said in restored


def test_a_second_time_keeps_what_was_there_too(host: FakeHost) -> None:
    first, second = made(host), made(host)
    assert (first.name, second.name) == ("data.before-epoch-2", "data.before-epoch-2.2")
    assert (second / "member" / "new").exists()


@pytest.mark.parametrize("renames", [0, 1, 2])
def test_whenever_it_is_killed_the_member_has_data_and_a_second_run_keeps_the_old_ones(
    host: FakeHost, renames: int
) -> None:
    at_renames = f"""
import os, pathlib, sys
left = {renames}
def count(event, arguments):
    global left
    if event in ("os.rename", "ctypes.dlopen"):
        left -= 1
        if left < 0:
            os._exit(9)
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_host import FakeHost
from hsmctl.promotion.own_store import make_own_store
host = FakeHost(pathlib.Path({str(host.folder)!r}), made=True)
sys.addaudithook(count)
make_own_store(host, host.store, "dev", 2)
"""
    ended = subprocess.run([sys.executable, "-c", at_renames], check=False).returncode
    assert ended == (9 if renames < 2 else 0)
    assert host.data.exists()
    made(host)
    assert (host.data / "member" / "new").exists()
    assert [path for path in host.folder.glob("data.before-*") if (path / "old").exists()]


def test_without_tls_no_certificate_is_shown(host: FakeHost) -> None:
    make_own_store(host, LocalStore("127.0.0.1:2379", None), "dev", 2)
    assert "--endpoints http://127.0.0.1:2379 --dial-timeout=3s snapshot" in host.calls[0]


@pytest.mark.parametrize(("program", "said"), [("etcdctl", "gives no snapshot"), ("etcdutl", "could not be restored")])
def test_a_step_that_fails_changes_nothing_and_says_why(host: FakeHost, program: str, said: str) -> None:
    host.script(program, "echo first >&2; echo 'the reason' >&2; exit 4")
    with pytest.raises(CommandError, match=rf"{said} \(the reason\)"):
        made(host)
    assert (host.steps, (host.data / "old").exists()) == ([], True)
    host.script(program, "exit 4")
    with pytest.raises(CommandError, match=r"\(exit code 4\)"):
        made(host)


def test_a_step_that_hangs_is_ended(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsmctl.promotion.programs.STEP_S", 0.1)
    host.script("etcdctl", "touch $snapshot.part; exec sleep 60")
    with pytest.raises(CommandError, match=r"gives no snapshot within 0\.1 s"):
        made(host)
    assert not list(host.folder.glob("*.part")), "what it had written goes with it"


def test_a_disk_that_refuses_is_named(host: FakeHost) -> None:
    host.script("etcdutl", f"mkdir -p $restored && rm -r {host.data}")
    with pytest.raises(CommandError, match="data: No such file"):
        made(host)
