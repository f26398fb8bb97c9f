"""A copy of the member's data gives the snapshot that the member does not."""

import os
from pathlib import Path

import pytest
from fake_host import SERVES, FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion import cold_copy
from hsmctl.promotion.cold_copy import save_copy
from hsmctl.promotion.member_file import read_member_file


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path)
    (tmp_path / "work").mkdir()
    return made


def save(host: FakeHost) -> Path:
    work = host.folder / "work"
    save_copy(host, read_member_file(host.member_file), work, work / "snapshot")
    return work


def test_the_copy_is_a_member_without_network_and_is_gone_afterwards(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETCD_LISTEN_CLIENT_URLS", "http://0.0.0.0:2379")
    host.script(
        "etcd", f"pwd > {host.folder}/where; echo ${{ETCD_LISTEN_CLIENT_URLS-none}} > {host.folder}/said; exec sleep 60"
    )
    host.script("etcdctl", f"[ -e {host.folder}/said ] || exit 1; {SERVES}")
    monkeypatch.setattr(cold_copy, "POLL_S", 0.01)
    work = save(host)
    assert (work / "snapshot").exists()
    assert not (work / "copy").exists()
    assert (host.folder / "where").read_text().strip() == str(work)
    assert (host.folder / "said").read_text().strip() == "none"
    started = next(call for call in host.calls if call.startswith("etcd "))
    assert "--name etcd-alps --data-dir" in started
    assert "--force-new-cluster --listen-client-urls unix://client:1" in started
    assert (host.data / "old").read_text() == "what it was"


def test_a_copy_that_ends_or_never_answers_says_why(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    host.script("etcdctl", "exit 1")
    host.script("etcd", "echo 'the reason'; exit 3")
    with pytest.raises(CommandError, match=r"made of the copied data \(the reason\); the data are as they were"):
        save(host)
    (host.folder / "work" / "copy").rename(host.folder / "aside")
    host.script("etcd", "trap '' TERM; sleep 60 & wait; wait")
    monkeypatch.setattr(cold_copy, "READY_S", 0.2)
    monkeypatch.setattr(cold_copy, "END_S", 0.1)
    with pytest.raises(CommandError, match="copy of the member's data does not answer"):
        save(host)


def test_only_files_are_copied(host: FakeHost) -> None:
    (host.data / "link").symlink_to("/etc/hostname")
    with pytest.raises(CommandError, match="has links in it"):
        save(host)
    (host.data / "link").unlink()
    os.mkfifo(host.data / "pipe")
    (host.folder / "work" / "copy").rename(host.folder / "aside")
    with pytest.raises(OSError, match="pipe"):
        save(host)
