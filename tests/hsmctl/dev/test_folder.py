"""What a folder keeps over runs, and who may use it."""

import datetime
import stat
from pathlib import Path

import pytest

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


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    first, second = Folder(tmp_path), Folder(tmp_path)
    assert not second.held()
    first.take()
    assert second.held()
    with pytest.raises(CommandError, match="in use"):
        second.take()
    first.release()
    second.take()
    second.release()


def test_a_store_without_its_master_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").touch()
    with pytest.raises(CommandError, match=r"master\.key is missing"):
        Folder(tmp_path).fill(PLAN, NOW)
    assert not (tmp_path / "master.key").exists()
