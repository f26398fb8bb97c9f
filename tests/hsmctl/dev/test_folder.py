"""What a folder keeps over runs, and who may use it."""

import datetime
import fcntl
import os
import shutil
import stat
import threading
from pathlib import Path

import pytest

from hsmctl.dev.data_centres import make_data_centres
from hsmctl.dev.folder import Folder
from hsmctl.dev.plan import make_plan
from hsmctl.failures import CommandError

NOW = datetime.datetime.now(datetime.UTC)
PLAN = make_plan(1, 1, tls=True, event_loop=None)


def test_keys_and_ca_are_kept_and_secret_files_are_private(tmp_path: Path) -> None:
    for _ in range(2):
        folder = Folder(tmp_path / "d")
        folder.take()
        folder.fill(PLAN, NOW)
        kept = {name: (folder.path / name).read_bytes() for name in ("master.key", "ca.pem", "ca-key.pem")}
        folder.release()
    folder.take()
    folder.fill(PLAN, NOW)
    assert kept == {name: (folder.path / name).read_bytes() for name in kept}
    assert len(bytes.fromhex(kept["master.key"].decode())) == 32
    for name in ("master.key", "ca-key.pem", "client-key.pem", "node-1-key.pem"):
        assert stat.S_IMODE((folder.path / name).stat().st_mode) == 0o600
    folder.release()


def test_the_store_s_members_have_a_ca_of_their_own_which_is_kept_with_their_ports(tmp_path: Path) -> None:
    names = ("store-ca.pem", "store-ca-key.pem", "etcd-ports.json", "etcd-alps.json")
    kept = []
    for _ in range(2):
        folder = Folder(tmp_path)
        folder.take()
        folder.fill(make_data_centres(tmp_path, None), NOW)
        kept.append({name: (tmp_path / name).read_bytes() for name in names})
        folder.release()
    assert kept[0] == kept[1]
    assert (tmp_path / "store-ca.pem").read_bytes() != (tmp_path / "ca.pem").read_bytes()
    for name in ("store-ca-key.pem", "etcd-zurich-key.pem", "node-1-store-key.pem"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    (tmp_path / "master.key").unlink()
    with pytest.raises(CommandError, match=r"keys in etcd beside it"):
        folder.fill(make_data_centres(tmp_path, None), NOW)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    assert not second.held()
    first.take()
    assert second.held()
    with pytest.raises(CommandError, match=rf"in use by another `hsmctl dev` \(process {os.getpid()}\)"):
        second.take()
    # Being refused leaves the process id of who has it where it was.
    assert (tmp_path / "dev.lock").read_text() == f"{os.getpid()}\n"
    (tmp_path / "dev.lock").write_text("of an older version")
    with pytest.raises(CommandError, match="in use by another `hsmctl dev`; stop that one or"):
        second.take()
    first.release()
    second.take()
    assert (tmp_path / "dev.lock").read_text() == f"{os.getpid()}\n"
    second.release()


def test_a_store_without_its_master_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(CommandError, match=r"master\.key is missing"):
        Folder(tmp_path).fill(PLAN, NOW)
    assert not (tmp_path / "master.key").exists()


def test_a_folder_that_is_made_is_private_and_one_of_the_user_keeps_its_mode(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir(mode=0o755)
    own.chmod(0o755)
    for path, mode in ((own, 0o755), (tmp_path / "parents" / "made", 0o700)):
        folder = Folder(path)
        folder.take()
        assert stat.S_IMODE(path.stat().st_mode) == mode
        folder.release()


def test_a_folder_that_cannot_be_used_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CommandError, match="cannot use the folder .*name another by --dir") as caught:
            Folder(path).take()
        assert caught.value.exit_code == 2


def test_a_glance_at_the_lock_refuses_nobody(tmp_path: Path) -> None:
    with (tmp_path / "dev.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        timer = threading.Timer(0.05, fcntl.flock, (lock, fcntl.LOCK_UN))
        timer.start()
        folder = Folder(tmp_path)
        folder.take()
        timer.join()
    assert folder.ours()
    folder.release()


def test_dev_json_of_an_earlier_run_and_its_requests_are_gone_after_the_take(tmp_path: Path) -> None:
    (tmp_path / "requests").mkdir()
    (tmp_path / "requests" / "node-1").touch()
    (tmp_path / "dev.json").write_text("{}")
    folder = Folder(tmp_path)
    folder.take()
    assert not folder.manifest.exists()
    assert folder.take_requests() == []
    folder.release()


def test_who_lost_the_folder_leaves_the_next_ones_dev_json_alone(tmp_path: Path) -> None:
    first, second = Folder(tmp_path / "d"), Folder(tmp_path / "d")
    assert not first.ours()
    first.take()
    assert first.ours()
    shutil.rmtree(first.path)
    assert not first.ours()
    second.take()
    second.manifest.write_text("{}")
    assert not first.ours()
    first.release()
    assert second.manifest.exists()
    assert second.ours()
    second.release()
    assert not second.manifest.exists()


def test_who_was_refused_removes_nothing(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    first.take()
    first.manifest.write_text("{}")
    with pytest.raises(CommandError):
        second.take()
    second.release()
    assert first.manifest.exists()
    first.release()


def test_requests_are_taken_once_and_survive_a_tidied_folder(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.take()
    folder.requests.rmdir()
    assert folder.take_requests() == []
    folder.ask_for("node-1")
    assert folder.take_requests() == ["node-1"]
    assert folder.take_requests() == []
    folder.release()


def test_the_way_to_the_folder_has_no_detours(tmp_path: Path) -> None:
    assert Folder(tmp_path / "a" / ".." / "b").path == tmp_path / "b"


def test_a_run_without_tls_leaves_no_operator_of_an_earlier_one(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.take()
    folder.fill(PLAN, NOW)
    assert (tmp_path / "operator.toml").exists()
    folder.fill(make_plan(1, 1, tls=False, event_loop=None), NOW)
    assert not (tmp_path / "operator.toml").exists()
    folder.release()


def test_a_folder_stays_with_its_back_end(tmp_path: Path) -> None:
    devices = make_plan(1, 1, tls=False, event_loop=None, softhsm=Path("/none.so"))
    for made_by, plan, flag in (("master.key", devices, "--backend software"), ("tokens", PLAN, "--backend softhsm")):
        folder = Folder(tmp_path / made_by)
        folder.take()
        (folder.path / made_by).touch()
        with pytest.raises(CommandError, match=f"was made with {flag}"):
            folder.fill(plan, NOW)
        folder.release()
