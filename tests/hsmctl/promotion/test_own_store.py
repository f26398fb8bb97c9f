"""The member that is left is saved, restored under another token, and put in its old place."""

import subprocess
import sys
from pathlib import Path

import pytest
from fake_host import SERVES, SILENT, FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion.host import LocalStore
from hsmctl.promotion.own_store import made_before, make_own_store, settle


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
    assert not (host.folder / ".data.promotion").exists()
    asked, saved, restored = host.calls
    assert asked.endswith("endpoint status")
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


POINTS = ["_save", "_restore", "write_plan", "exchange", "_keep"]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("point", POINTS)
def test_whenever_it_is_killed_a_second_run_makes_one_store_and_keeps_one_old_one(
    host: FakeHost, point: str, when: str
) -> None:
    program = f"""
import os, pathlib, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from fake_host import FakeHost
from hsmctl.promotion import own_store, work_folder
owner = work_folder.WorkFolder if {point!r} == "write_plan" else own_store
does = getattr(owner, {point!r})
def killed(*arguments):
    if {when!r} == "after":
        does(*arguments)
    os.kill(os.getpid(), 9)
setattr(owner, {point!r}, killed)
host = FakeHost(pathlib.Path({str(host.folder)!r}), made=True)
own_store.make_own_store(host, host.store, "dev", 2)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert host.data.exists()
    settle(host)
    found = made_before(host)
    done = (point, when) in (("exchange", "after"), ("_keep", "before"), ("_keep", "after"))
    assert (found is not None) == done
    kept = made(host) if found is None else found.kept
    assert (host.data / "member" / "new").exists()
    assert (kept / "old").read_text() == "what it was"
    assert sorted(path.name for path in host.folder.iterdir() if "data" in path.name) == ["data", "data.before-epoch-2"]


def test_a_member_that_serves_nobody_is_stopped_and_a_copy_of_its_data_gives_the_snapshot(host: FakeHost) -> None:
    host.script("etcdctl", SILENT)
    kept = made(host)
    assert host.steps == ["stop member", "stop member", "start member"]
    assert (kept / "old").read_text() == "what it was"
    assert not (host.folder / ".data.promotion").exists()


def test_what_was_made_last_is_found_by_its_number(host: FakeHost) -> None:
    assert made_before(host) is None
    for name in ("data.before-epoch-2", "data.before-epoch-10", "data.before-epoch-10.2", "data.before-rejoin"):
        (host.folder / name).mkdir()
    found = made_before(host)
    assert found is not None
    assert (found.epoch, found.kept.name) == (10, "data.before-epoch-10.2")
    host.member_file.unlink()
    settle(host)
    assert made_before(host) is None


def test_without_tls_no_certificate_is_shown(host: FakeHost) -> None:
    make_own_store(host, LocalStore("127.0.0.1:2379", None), "dev", 2)
    assert "--endpoints http://127.0.0.1:2379 --dial-timeout=3s snapshot" in host.calls[1]


@pytest.mark.parametrize(("program", "said"), [("etcdctl", "gives no snapshot"), ("etcdutl", "could not be restored")])
def test_a_step_that_fails_changes_nothing_and_says_why(host: FakeHost, program: str, said: str) -> None:
    fails = f"{SERVES}; case $1 in --*) case $* in *status) exit 0;; esac;; esac; echo 'the reason' >&2; exit 4"
    host.script(program, fails)
    with pytest.raises(CommandError, match=rf"{said} \(the reason\)"):
        made(host)
    assert (host.steps, (host.data / "old").exists()) == ([], True)
    host.script(program, fails.replace("echo 'the reason' >&2; ", ""))
    with pytest.raises(CommandError, match=r"\(exit code 4\)"):
        made(host)


def test_a_step_that_hangs_is_ended(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hsmctl.promotion.programs.STEP_S", 0.5)
    host.script("etcdctl", f"case $* in *save*) touch $snapshot.part; exec sleep 60;; esac; {SERVES}")
    with pytest.raises(CommandError, match=r"gives no snapshot within 0\.5 s"):
        made(host)
    assert not (host.folder / ".data.promotion").exists(), "what it had written goes with it"


def test_a_disk_that_refuses_is_named(host: FakeHost) -> None:
    host.script("etcdutl", f"mkdir -p $restored && rm -r {host.data}")
    with pytest.raises(CommandError, match="data: No such file"):
        made(host)
