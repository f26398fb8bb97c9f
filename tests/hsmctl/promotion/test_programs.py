"""Commands of etcd's own programs, and what becomes of their failures."""

from pathlib import Path

import pytest
from fake_host import FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion import programs
from hsmctl.promotion.host import LocalStore
from hsmctl.promotion.programs import etcdctl, run, unused


def test_a_member_is_asked_with_the_nodes_certificate_or_without_tls(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    assert host.store is not None
    words = etcdctl(host, host.store, "member", "list")
    assert words[1:3] == ["--endpoints", "https://127.0.0.1:2379"]
    assert words[4:] == ["--cacert", "ca.pem", "--cert", "node.pem", "--key", "node-key.pem", "member", "list"]
    assert etcdctl(host, LocalStore("127.0.0.1:2379", None), "x")[2:] == [
        "http://127.0.0.1:2379",
        "--dial-timeout=3s",
        "x",
    ]


def test_the_last_line_of_a_failure_is_told_with_the_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(["/bin/echo", "said"], "it fails", "do that") == "said\n"
    with pytest.raises(CommandError, match=r"it fails \(no such thing\); do that"):
        run(["/bin/sh", "-c", "echo first >&2; echo no such thing >&2; exit 1"], "it fails", "do that")
    with pytest.raises(CommandError, match=r"it fails \(exit code 3\)"):
        run(["/bin/sh", "-c", "exit 3"], "it fails", "do that")
    monkeypatch.setattr(programs, "STEP_S", 0.05)
    with pytest.raises(CommandError, match="it fails within 0.05 s; do that"):
        run(["/bin/sleep", "5"], "it fails", "do that")


def test_what_is_kept_never_takes_a_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "data.old").touch()
    (tmp_path / "data.old.2").touch()
    assert unused(tmp_path, "data.old").name == "data.old.3"
