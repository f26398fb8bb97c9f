"""Keys from the command line, in a real cluster."""

import uuid
from pathlib import Path
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from fake_cluster import MUTE, FakeCluster

from hsm_wire.messages import KeyInfo, Policy
from hsm_wire.usages import Usage
from hsmctl import files
from hsmctl.cli import main
from hsmctl.commands import key_changes

TERMINAL = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
"""Stands for `sys` where a command asks whether it writes to a terminal."""


def new_label() -> str:
    return f"k-{uuid.uuid4()}"


def test_a_key_is_generated_listed_shown_switched_and_destroyed(shell) -> None:
    label = new_label()
    key_id = shell.good("key", "generate", "--type", "ec-p256", "--label", label).decode().strip()
    assert len(bytes.fromhex(key_id)) == 16
    assert [each["id"] for each in shell.json("key", "list", "--label", label, "--type", "ec-p256")] == [key_id]
    assert key_id in shell.good("key", "list").decode()
    shown = shell.json("key", "show", label)
    assert (shown["id"], shown["type"], shown["label"], shown["enabled"]) == (key_id, "ec-p256", label, True)
    assert label in shell.good("key", "show", key_id).decode()
    assert shell.json("key", "disable", label) == {"id": key_id, "enabled": False}
    assert shell.json("key", "show", label)["enabled"] is False
    assert shell.good("key", "enable", label).decode() == f"{label} is enabled\n"
    assert shell.json("key", "destroy", label, "--yes") == {"id": key_id, "destroyed": True}
    assert shell.json("key", "list", "--label", label) == []
    assert "hsmctl key list" in shell.bad(1, "key", "show", label)


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_nothing_is_destroyed_without_a_terminal_and_without_yes(shell, more: list[str]) -> None:
    label = new_label()
    shell.good("key", "generate", "--type", "ec-p256", "--label", label)
    assert "--yes" in shell.bad(2, "key", "destroy", label, *more, data=b"y\n")
    assert shell.json("key", "show", label)["enabled"] is True


@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_the_answer_decides(shell, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    label = new_label()
    key_id = shell.good("key", "generate", "--type", "ec-p256", "--label", label).decode().strip()

    class Terminal:
        stdin = type("Stdin", (), {"isatty": staticmethod(lambda: True)})

    monkeypatch.setattr(key_changes, "sys", Terminal)
    done = CliRunner(env={"HSM_CLIENT_CONFIG": str(shell.config)}).invoke(main, ["key", "destroy", label], input=answer)
    assert key_id in done.stderr
    assert len(shell.json("key", "list", "--label", label)) == left


def test_a_label_that_steers_a_terminal_is_shown_escaped_and_is_exact_in_json(
    fake_shell, fake_cluster: FakeCluster
) -> None:
    label = "a\x1b[31m\x00\n\u202eb"
    info = KeyInfo(bytes(16), "ec-p256", label, Usage.SIGN, True, 1, 0, "generated", b"", Policy())
    fake_cluster.proxy.keystore.infos[info.key_id] = info
    for command in (["key", "list"], ["key", "show", "0" * 32]):
        text = fake_shell.good(*command).decode()
        assert r"a\x1b[31m\x00\n\u202eb" in text
        assert all(c.isprintable() or c in "\t\n" for c in text)
        document = fake_shell.json(*command)
        assert (document if isinstance(document, dict) else document[0])["label"] == label


def test_a_public_key_in_der_does_not_go_to_a_terminal(shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "sys", TERMINAL)
    assert "--out" in shell.bad(2, "key", "public", "p256", "--format", "der")


def test_a_timeout_holds_for_making_a_key_too(fake_shell, fake_cluster: FakeCluster) -> None:
    fake_cluster.proxy.script.append(MUTE)
    line = fake_shell.bad(1, "key", "generate", "--type", "rsa-8192", "--timeout", "0.3")
    assert "time ran out" in line


def test_a_label_of_two_keys_names_neither_and_the_error_lists_both(shell) -> None:
    label = new_label()
    ids = [shell.good("key", "generate", "--type", "ed25519", "--label", label).decode().strip() for _ in range(2)]
    line = shell.bad(1, "key", "destroy", label, "--yes")
    assert all(each in line for each in ids)
    assert len(shell.json("key", "list", "--label", label)) == 2


@pytest.mark.parametrize("label", ["x" * 129, "0" * 32])
def test_a_label_that_could_not_be_used_is_refused_before_there_is_a_key(label: str) -> None:
    done = CliRunner().invoke(main, ["key", "generate", "--type", "ec-p256", "--label", label])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--label" in done.stderr


def test_the_public_key_is_written_as_pem_der_and_json(shell, tmp_path: Path) -> None:
    pem = shell.good("key", "public", "p256")
    public = serialization.load_pem_public_key(pem)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert serialization.load_der_public_key(shell.good("key", "public", "p256", "--format", "der")) == public
    assert shell.json("key", "public", "p256")["public_key"].encode() == pem
    shell.good("key", "public", "p256", "--out", tmp_path / "p.pem")
    assert (tmp_path / "p.pem").read_bytes() == pem


def test_a_secret_key_has_no_public_part_and_the_error_says_which_keys_have(shell) -> None:
    assert "RSA, EC, Ed25519, Ed448, X25519, ML-DSA or ML-KEM" in shell.bad(1, "key", "public", "aes")


def test_a_private_key_is_imported_from_its_file(shell, tmp_path: Path) -> None:
    private = ed25519.Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    made = shell.json("key", "import", "--in", tmp_path / "key.pem", "--label", new_label())
    assert (made["type"], made["origin"]) == ("ed25519", "imported")
    assert serialization.load_pem_public_key(shell.good("key", "public", made["id"])) == private.public_key()


def test_a_secret_key_is_imported_from_standard_input(shell) -> None:
    made = shell.json("key", "import", "--in", "-", "--type", "aes-256", "--label", new_label(), data=bytes(32))
    assert made["type"] == "aes-256"


def test_a_policy_is_made_with_the_key_and_shown(fake_shell) -> None:
    options = ["--label", "store", "--mechanism", "aes-gcm", "--max-uses", "1000", "--caller-iv"]
    made = fake_shell.json("key", "generate", "--type", "aes-256", *options, "--not-after", "2030-01-01")
    shown = fake_shell.json("key", "show", "store")
    assert made["policy"] == shown["policy"]
    assert (shown["policy"]["flags"], shown["policy"]["mechanisms"]) == (["caller-iv"], ["aes-gcm"])
    assert (shown["policy"]["max_uses"], shown["policy"]["not_after"]) == (1000, "2030-01-01T00:00:00+00:00")
    assert "at most 1000 uses" in fake_shell.good("key", "show", "store").decode()
    imported = fake_shell.json("key", "import", "--type", "aes-256", "--in", "-", "--exportable", data=bytes(32))
    assert imported["policy"]["flags"] == ["exportable"]


@pytest.mark.parametrize(
    "options",
    [
        ["--mechanism", "rot13"],
        ["--not-after", "tomorrow"],
        ["--max-uses", "0"],
        ["--destruction-wait", "soon"],
        ["--usage", "all"],
    ],
    ids=" ".join,
)
def test_a_wrong_policy_is_refused_before_there_is_a_key(fake_shell, options: list[str]) -> None:
    assert options[0] in fake_shell.bad(2, "key", "generate", "--type", "aes-256", *options)
    assert fake_shell.json("key", "list") == []


def test_an_empty_file_is_no_key(shell, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    shell.bad(2, "key", "import", "--in", tmp_path / "empty")
    assert "32 bytes" in shell.bad(2, "key", "import", "--in", tmp_path / "empty", "--type", "aes-256")


def test_every_key_command_takes_json() -> None:
    group = main.commands["key"]
    assert isinstance(group, click.Group)
    for command in group.commands.values():
        assert any("--json" in option.opts for option in command.params), command.name
