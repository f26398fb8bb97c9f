"""Objects from the command line."""

import base64
import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from fake_cluster import FakeCluster

from hsm_wire.limits import MAX_OBJECT_BYTES
from hsmctl import files
from hsmctl.cli import main
from hsmctl.commands import object as object_commands
from hsmctl.distinguished_names import subject_of
from hsmctl.issuing import make_certificate


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    path = tmp_path / "certificate.pem"
    path.write_bytes(make_certificate(key, subject_of("CN=x"), key.public_key(), now=now, days=1))
    return path


def test_an_object_is_created_listed_shown_read_changed_and_destroyed(fake_shell) -> None:
    create = ["object", "create", "--kind", "data", "--in", "-", "--label", "notes"]
    object_id = fake_shell.good(*create, data=b"one").decode().strip()
    assert len(bytes.fromhex(object_id)) == 16
    assert [each["id"] for each in fake_shell.json("object", "list", "--label", "notes", "--kind", "data")] == [
        object_id
    ]
    assert fake_shell.json("object", "list", "--kind", "certificate") == []
    assert object_id in fake_shell.good("object", "list").decode()
    shown = fake_shell.json("object", "show", "notes")
    assert (shown["id"], shown["kind"], shown["label"], shown["version"]) == (object_id, "data", "notes", 1)
    assert "notes" in fake_shell.good("object", "show", object_id).decode()
    assert fake_shell.good("object", "read", "notes") == b"one"
    assert fake_shell.json("object", "update", "notes", "--in", "-", data=b"two")["version"] == 2
    assert "more" in fake_shell.good("object", "update", "notes", "--label", "more").decode()
    assert base64.b64decode(fake_shell.json("object", "read", "more")["value"]) == b"two"
    assert fake_shell.json("object", "destroy", "more", "--yes") == {"id": object_id, "destroyed": True}
    assert fake_shell.json("object", "list") == []


def test_a_certificate_in_pem_is_stored_as_der_and_read_as_either(
    fake_shell, fake_cluster: FakeCluster, certificate: Path, tmp_path: Path
) -> None:
    fake_shell.good("object", "create", "--kind", "certificate", "--in", certificate, "--label", "tls")
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    assert [value for _, value in fake_cluster.proxy.keystore.objects.values()] == [der]
    assert fake_shell.good("object", "read", "tls") == certificate.read_bytes()
    assert fake_shell.good("object", "read", "tls", "--format", "der") == der
    fake_shell.good("object", "read", "tls", "--out", tmp_path / "again.pem")
    assert (tmp_path / "again.pem").read_bytes() == certificate.read_bytes()


def test_a_public_key_of_the_cluster_is_stored(fake_shell) -> None:
    fake_shell.good("key", "generate", "--type", "ec-p256", "--label", "tls")
    pem = fake_shell.good("key", "public", "tls")
    fake_shell.good("object", "create", "--kind", "public-key", "--in", "-", "--label", "tls", data=pem)
    assert fake_shell.good("object", "read", "tls") == pem


def test_a_missing_object_is_one_line_that_says_where_to_look(fake_shell) -> None:
    for name in ("none", "0" * 32):
        for command in (["show"], ["read"], ["update", "--label", "x"], ["destroy", "--yes"]):
            line = fake_shell.bad(1, "object", command[0], name, *command[1:])
            assert "hsmctl object list" in line
            assert "hsmctl key list" not in line


def test_a_label_of_two_objects_names_neither(fake_shell) -> None:
    create = ["object", "create", "--kind", "data", "--in", "-", "--label", "twin"]
    ids = [fake_shell.good(*create, data=b"x").decode().strip() for _ in range(2)]
    line = fake_shell.bad(1, "object", "read", "twin")
    assert all(each in line for each in ids)


def test_files_that_do_not_fit_and_wrong_options_are_usage(fake_shell, certificate: Path, tmp_path: Path) -> None:
    create = ["object", "create", "--in", "-", "--kind"]
    assert "no certificate" in fake_shell.bad(2, *create, "certificate", data=b"nonsense")
    assert "no public key" in fake_shell.bad(2, *create, "public-key", data=certificate.read_bytes())
    assert str(MAX_OBJECT_BYTES) in fake_shell.bad(2, *create, "data", data=bytes(MAX_OBJECT_BYTES + 1))
    fake_shell.good(*create, "data", "--label", "full", data=bytes(MAX_OBJECT_BYTES))
    assert "--kind" in fake_shell.bad(2, *create, "secret")
    assert "--label" in fake_shell.bad(2, *create, "data", "--label", "0" * 32)
    assert "check the path" in fake_shell.bad(2, "object", "create", "--kind", "data", "--in", tmp_path / "none")
    assert "--in, --label or both" in fake_shell.bad(2, "object", "update", "full")
    fake_shell.good("object", "create", "--kind", "certificate", "--in", certificate, "--label", "tls")
    assert "no certificate" in fake_shell.bad(2, "object", "update", "tls", "--in", "-", data=b"nonsense")


def test_nothing_is_destroyed_without_a_terminal_and_without_yes(fake_shell) -> None:
    fake_shell.good("object", "create", "--kind", "data", "--in", "-", "--label", "notes", data=b"x")
    assert "--yes" in fake_shell.bad(2, "object", "destroy", "notes", data=b"y\n")
    assert len(fake_shell.json("object", "list")) == 1


@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_the_answer_decides(fake_shell, monkeypatch: pytest.MonkeyPatch, answer: str, left: int) -> None:
    fake_shell.good("object", "create", "--kind", "data", "--in", "-", "--label", "notes", data=b"x")
    monkeypatch.setattr(object_commands, "sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True)))
    environment = {"HSM_CLIENT_CONFIG": str(fake_shell.config)}
    done = CliRunner(env=environment).invoke(main, ["object", "destroy", "notes"], input=answer)
    assert "label 'notes'" in done.stderr
    assert len(fake_shell.json("object", "list")) == left


def test_data_goes_to_a_terminal_only_if_that_is_said(fake_shell, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_shell.good("object", "create", "--kind", "data", "--in", "-", "--label", "notes", data=b"x")
    terminal = SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(files, "sys", terminal)
    assert "--out -" in fake_shell.bad(2, "object", "read", "notes")


def test_every_object_command_takes_json() -> None:
    for command in object_commands.object_group.commands.values():
        assert any("--json" in option.opts for option in command.params), command.name
