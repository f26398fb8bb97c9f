"""Keys updated, switched, rotated and destroyed from the command line."""

import datetime
import time
import uuid

import pytest
from click.testing import CliRunner
from fake_cluster import FakeCluster

from hsm_wire import mechanisms as mech
from hsm_wire.opcodes import Opcode
from hsm_wire.usages import PolicyFlag, Usage
from hsmctl.cli import main
from hsmctl.commands import key_changes

READS = (Opcode.DESCRIBE_KEY, Opcode.FIND_KEYS)


def made(shell, *options: str, key_type: str = "ec-p256") -> str:
    return str(shell.good("key", "generate", "--type", key_type, *options).decode().strip())


def info_of(cluster: FakeCluster, key_id: str):
    return cluster.proxy.keystore.infos[bytes.fromhex(key_id)]


# ---- update -----------------------------------------------------------------------------------------------------


def test_a_key_is_renamed_and_its_policy_narrowed_and_the_rest_stays(fake_shell, fake_cluster: FakeCluster) -> None:
    key_id = made(fake_shell, "--exportable", "--raw-rsa", "--max-uses", "9", "--label", "old")
    changed = fake_shell.json(
        *("key", "update", "old", "--label", "new", "--without", "exportable", "--strict", "--usage", "sign"),
        *("--mechanism", "ecdsa-sha256", "--not-before", "2026-01-01", "--not-after", "2027-01-01"),
        *("--destruction-wait", "7d"),
    )
    assert (changed["id"], changed["label"], changed["usage"]) == (key_id, "new", ["sign"])
    policy = info_of(fake_cluster, key_id).policy
    assert policy.flags == PolicyFlag.RAW_RSA | PolicyFlag.STRICT
    assert (policy.mechanisms, policy.max_uses) == ([mech.CKM_ECDSA_SHA256], 9)
    assert (policy.not_before, policy.not_after, policy.destruction_wait_s) == (1_767_225_600, 1_798_761_600, 604_800)


def test_a_label_alone_leaves_the_policy_alone(fake_shell, fake_cluster: FakeCluster) -> None:
    key_id = made(fake_shell, "--exportable", "--label", "old")
    assert "new" in fake_shell.good("key", "update", key_id, "--label", "new").decode()
    assert info_of(fake_cluster, key_id).policy.flags == PolicyFlag.EXPORTABLE
    assert fake_shell.json("key", "update", key_id, "--label", "")["label"] == ""


def test_an_update_of_nothing_and_wrong_options_are_usage(fake_shell) -> None:
    key_id = made(fake_shell)
    assert "nothing is named" in fake_shell.bad(2, "key", "update", key_id)
    assert "--without" in fake_shell.bad(2, "key", "update", key_id, "--without", "strict")
    assert "--label" in fake_shell.bad(2, "key", "update", key_id, "--label", "0" * 32)
    assert "hsmctl key list" in fake_shell.bad(1, "key", "update", "none", "--strict")


# ---- rotate -----------------------------------------------------------------------------------------------------


def test_after_a_rotation_the_label_names_the_new_version_and_the_old_one_verifies(fake_shell, tmp_path) -> None:
    first = made(fake_shell, "--label", "tls")
    signing = ["--key", "tls", "--mechanism", "ecdsa-sha256", "--in", "-"]
    (tmp_path / "s").write_bytes(fake_shell.good("sign", *signing, data=b"x"))
    second = fake_shell.good("key", "rotate", "tls").decode().strip()
    third = fake_shell.json("key", "rotate", "tls")
    assert third["replaces"] == second != first
    assert fake_shell.json("key", "show", "tls")["id"] == third["id"]
    assert fake_shell.json("key", "show", first)["replaced_by"] == second
    fake_shell.good("verify", *signing, "--signature", tmp_path / "s", data=b"x")
    assert fake_shell(*("verify", *signing, "--signature", tmp_path / "s"), data=b"y").exit_code == 1
    states = [line.split("\t")[3] for line in fake_shell.good("key", "list").decode().splitlines()[1:]]
    assert sorted(states) == ["enabled", "replaced", "replaced"]


def test_a_key_that_was_replaced_is_not_rotated_again(fake_shell) -> None:
    first = made(fake_shell)
    fake_shell.good("key", "rotate", first)
    assert "read it again" in fake_shell.bad(1, "key", "rotate", first).lower()
    assert "hsmctl key list" in fake_shell.bad(1, "key", "rotate", "none")


# ---- destroy and enable -----------------------------------------------------------------------------------------


def test_a_destruction_that_waits_says_when_and_enabling_revokes_it(fake_shell) -> None:
    key_id = made(fake_shell, "--label", "tls")
    document = fake_shell.json("key", "destroy", "tls", "--wait", "7d", "--yes")
    assert (document["id"], document["destroyed"]) == (key_id, False)
    when = datetime.datetime.fromisoformat(document["destroy_at"])
    assert abs(when.timestamp() - time.time() - 604_800) < 60
    assert fake_shell.json("key", "show", "tls")["destroy_at"] == document["destroy_at"]
    assert "destroyed 20" in fake_shell.good("key", "list").decode()
    line = fake_shell.good("key", "enable", "tls").decode()
    assert line == f"tls is enabled; its destruction, scheduled for {document['destroy_at']}, is revoked\n"
    assert fake_shell.json("key", "enable", "tls") == {"id": key_id, "enabled": True, "destruction_revoked": False}


def test_the_policys_wait_holds_without_asking_for_it(fake_shell) -> None:
    made(fake_shell, "--label", "tls", "--destruction-wait", "1h")
    line = fake_shell.good("key", "destroy", "tls", "--yes").decode()
    assert "is disabled, and destroyed at 20" in line
    assert "`hsmctl key enable` revokes that" in line


def test_a_destruction_at_once_says_so_and_that_earlier_versions_stay(fake_shell) -> None:
    first = made(fake_shell, "--label", "tls")
    second = fake_shell.good("key", "rotate", "tls").decode().strip()
    text = fake_shell.good("key", "destroy", "tls", "--yes").decode()
    assert text == "tls is destroyed; its earlier versions stay\n"
    assert [each["id"] for each in fake_shell.json("key", "list")] == [first] != [second]


def test_a_wrong_wait_is_usage(fake_shell) -> None:
    assert "7d or 2w" in fake_shell.bad(2, "key", "destroy", made(fake_shell), "--wait", "7", "--yes")


def test_the_question_says_when(fake_shell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        stdin = type("Stdin", (), {"isatty": staticmethod(lambda: True)})

    monkeypatch.setattr(key_changes, "sys", Terminal)
    key_id = made(fake_shell)
    for options, words in (([], "for ever, now?"), (["--wait", "36h"], "for ever, in 36h?")):
        done = CliRunner(env={"HSM_CLIENT_CONFIG": str(fake_shell.config)}).invoke(
            main, ["key", "destroy", key_id, *options], input="n\n"
        )
        assert words in done.stderr
    assert len(fake_shell.json("key", "list")) == 1


def test_a_key_is_disabled_and_enabled(fake_shell, fake_cluster: FakeCluster) -> None:
    key_id = made(fake_shell)
    assert fake_shell.good("key", "disable", key_id).decode() == f"{key_id} is disabled\n"
    assert not info_of(fake_cluster, key_id).enabled
    assert fake_shell.good("key", "enable", key_id).decode() == f"{key_id} is enabled\n"
    assert info_of(fake_cluster, key_id).usage == Usage.SIGN | Usage.VERIFY


# ---- in a real cluster ------------------------------------------------------------------------------------------


def test_a_real_cluster_rotates_schedules_revokes_and_narrows(shell, tmp_path) -> None:
    label = f"k-{uuid.uuid4()}"
    first = made(shell, "--label", label, "--exportable", "--destruction-wait", "1h")
    signing = ["--key", label, "--mechanism", "ecdsa-sha256", "--in", "-"]
    (tmp_path / "s").write_bytes(shell.good("sign", *signing, data=b"x"))
    second = shell.json("key", "rotate", label)
    assert (second["replaces"], second["policy"]["flags"]) == (first, ["exportable"])
    shell.good("verify", *signing, "--signature", tmp_path / "s", data=b"x")
    assert "hsmctl key show" in shell.bad(1, "sign", "--key", first, *signing[2:], data=b"x")
    assert second["id"] in shell.bad(1, "key", "rotate", first)
    assert shell.json("key", "destroy", label, "--yes")["destroyed"] is False
    assert "hsmctl key enable" in shell.bad(1, "sign", *signing, data=b"x")
    assert "is revoked" in shell.good("key", "enable", label).decode()
    shell.good("sign", *signing, data=b"x")
    assert shell.json("key", "update", label, "--without", "exportable")["policy"]["flags"] == []
    assert "may only grow" in shell.bad(1, "key", "update", label, "--destruction-wait", "1m")


# ---- durability -------------------------------------------------------------------------------------------------


def test_whatever_makes_or_changes_a_key_can_ask_for_a_durability(fake_shell, fake_cluster: FakeCluster) -> None:
    proxy = fake_cluster.proxy
    key_id = made(fake_shell, "--durability", "dr")
    fake_shell.good("key", "disable", key_id, "--durability", "quorum")
    fake_shell.good("key", "enable", key_id, "--durability", "dr")
    fake_shell.good("key", "update", key_id, "--label", "x", "--durability", "dr")
    fake_shell.good("key", "destroy", key_id, "--yes", "--durability", "dr")
    fake_shell.good("key", "rotate", made(fake_shell), "--durability", "dr")
    assert [frame.flags for frame in proxy.requests if frame.opcode not in READS] == [8, 4, 8, 8, 8, 0, 8]
    assert "--durability" in fake_shell.bad(2, "key", "rotate", key_id, "--durability", "all")
