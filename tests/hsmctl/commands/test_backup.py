"""hsmctl backup: what is printed, what is refused, what is removed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backup_parts import CONTENT, PARTS
from click.testing import CliRunner
from local_peer import FakeNode

from hsm_wire.backup_files import encode_part
from hsm_wire.backup_messages import (
    BackupCount,
    BackupItem,
    BackupReading,
    CreatedPart,
    RestoreBackup,
    RestoreChoice,
    VerifyBackup,
)
from hsm_wire.messages import Failure, decode_body
from hsm_wire.opcodes import Opcode
from hsmctl.cli import main

ID = b"k" * 16


class Keystore:
    """A node with one key, which says what it is told to."""

    def __init__(self, fake: FakeNode) -> None:
        self.path = fake.path
        self.counts: dict[str, int] = {"authentic": 3, "destroyed": 1, "proven": 2}
        self.items: list[BackupItem] = []
        self.unknown: list[str] = []
        self.damaged = False
        self.left_out = 0
        self.applied = 0
        self.choice = RestoreChoice()
        self.proven = 0
        self._sent = 0
        fake.answering = self._answer

    def _answer(self, opcode: int, body: bytes) -> Any:
        if opcode == Opcode.CREATE_BACKUP:
            part = PARTS[self._sent % 3]
            self._sent += 1
            data = encode_part(part.kind, part.body, part.mac)
            return CreatedPart(b"b" * 16, data, self._sent % 3 == 0, 3, self.left_out)
        if self.damaged:
            return Failure("the backup is damaged; use another one")
        if opcode == Opcode.VERIFY_BACKUP:
            self.proven = decode_body(VerifyBackup, body).prove
        else:
            asked = decode_body(RestoreBackup, body)
            self.applied += asked.apply
            self.choice = asked.choice if not asked.reading else self.choice
        counts = [BackupCount(*count) for count in self.counts.items()]
        return BackupReading(7, True, counts, self.items, self.unknown)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Keystore]:
    folder = tmp_path / "state"
    folder.mkdir()
    fake = FakeNode(folder / "admin.sock")
    yield Keystore(fake)
    fake.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.backup"
    path.write_bytes(CONTENT)
    return path


def run(node: Keystore, *arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["backup", *map(str, arguments), "--socket", str(node.path)])
    assert done.exit_code == code, done.stderr
    if code:
        assert done.stderr.count("\n") == 1
        return done.stderr
    return done.stdout


def test_a_backup_is_made_verified_and_described(node: Keystore, tmp_path: Path) -> None:
    out = tmp_path / "x.backup"
    assert run(node, "create", "--out", out).splitlines() == [
        str(out),
        "cluster      dev",
        "made         2027-01-15T08:00:00+00:00, revision 7",
        "master key   version 1, fingerprint 66696e6765727072",
        "records      2, and 1 that were destroyed",
        "keys proven  2",
    ]
    assert out.read_bytes() == CONTENT
    assert node.proven == 100


def test_a_folder_keeps_ten_days_and_the_newest(node: Keystore, tmp_path: Path) -> None:
    old = tmp_path / "redoubt-dev-20261231T080000Z.backup"
    kept = tmp_path / "redoubt-dev-20270110T080000Z.backup"
    newer = [tmp_path / f"redoubt-dev-202701{day}T080000Z.backup" for day in (11, 12)]
    for path in (old, kept, *newer):
        path.touch()
    made = json.loads(run(node, "create", "--directory", tmp_path, "--json"))
    newest = tmp_path / "redoubt-dev-20270115T080000Z.backup"
    assert (made["file"], made["removed"]) == (str(newest), [str(old)])
    assert sorted(tmp_path.glob("*.backup")) == [kept, *newer, newest]
    newest.unlink()
    shown = run(node, "create", "--directory", tmp_path, "--keep-days", 1, "--prove", "all")
    assert shown.splitlines()[-1] == f"removed {kept}", "the three newest stay"
    assert node.proven == (1 << 63) - 1


def test_what_is_not_good_does_not_get_its_name_and_nothing_is_removed_for_it(node: Keystore, tmp_path: Path) -> None:
    old = tmp_path / "redoubt-dev-20200101T080000Z.backup"
    old.touch()
    node.counts = {"authentic": 3, "not proven": 1, "unreadable": 2}
    node.items = [BackupItem(ID, 1, "not proven", "its signature does not verify")]
    said = run(node, "create", "--directory", tmp_path, code=1)
    assert "it is not good: 2 unreadable, 1 not proven" in said
    assert "its signature does not verify" in said
    node.damaged = True
    assert "the backup is damaged" in run(node, "create", "--directory", tmp_path, code=1)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [old.name]


def test_records_that_were_left_out_are_said(node: Keystore, tmp_path: Path) -> None:
    node.left_out = 2
    arguments = ["backup", "create", "--out", str(tmp_path / "x"), "--socket", str(node.path)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    assert "2 records of the store are damaged and not in the backup" in done.stderr


@pytest.mark.parametrize("places", [[], ["--out", "x", "--directory", "."]])
def test_one_place_is_named(node: Keystore, places: list[str]) -> None:
    assert "name either --out FILE or --directory DIR" in run(node, "create", *places, code=2)


@pytest.mark.parametrize("number", ["-1", "some", "1e3"])
def test_keys_to_be_proven_are_a_number_or_all(node: Keystore, file: Path, number: str) -> None:
    assert "write 100 or all" in run(node, "verify", file, "--prove", number, code=2)


def test_a_file_is_verified(node: Keystore, file: Path) -> None:
    assert run(node, "verify", file, "--prove", 0).splitlines()[-1] == "keys proven  2"
    assert node.proven == 0
    document = json.loads(run(node, "verify", file, "--json"))
    assert (document["cluster"], document["counts"]["proven"]) == ("dev", 2)
    node.counts["unreadable"] = 1
    assert "it is not good: 1 unreadable" in run(node, "verify", file, code=1)


def test_a_dry_run_does_nothing(node: Keystore, file: Path) -> None:
    node.counts = {"made": 2}
    shown = run(node, "restore", file, "--dry-run")
    assert shown.splitlines() == ["would be done, with the backup of 2027-01-15T08:00:00+00:00:", "  made  2"]
    assert node.applied == 0
    node.counts = {}
    assert run(node, "restore", file, "--dry-run").splitlines()[1:] == ["  nothing  0"]


def test_a_restore_says_what_it_did_and_names_what_one_would_ask_for(node: Keystore, file: Path) -> None:
    node.counts = {"made": 2, "destroyed since": 30}
    node.items = [BackupItem(ID, 1, "destroyed since", "it stays so")] * 15
    lines = run(
        node, "restore", file, "--key", "a", "--partition", 3, "--even-destroyed", "b", "--even-changed", "c"
    ).splitlines()
    assert lines[0] == "was done, with the backup of 2027-01-15T08:00:00+00:00:"
    assert lines[3] == f"{ID.hex()} in partition 1: destroyed since, it stays so"
    assert lines[-1] == "and 10 more, with --json"
    assert node.applied == 2
    assert node.choice == RestoreChoice(["a"], 3, ["b"], ["c"])
    document = json.loads(run(node, "restore", file, "--json"))
    assert document["dry_run"] is False
    assert len(document["records"]) == 30


def test_a_name_that_nothing_has_ends_it_before_anything_is_done(node: Keystore, file: Path) -> None:
    node.unknown = ["nobody", "x"]
    assert "has the id or label nobody, x" in run(node, "restore", file, "--key", "nobody", code=1)
    assert node.applied == 0


def test_records_that_do_not_open_are_a_failure(node: Keystore, file: Path) -> None:
    node.counts = {"made": 1, "unreadable": 1}
    done = CliRunner().invoke(main, ["backup", "restore", str(file), "--socket", str(node.path)])
    assert done.exit_code == 1
    assert "1 records of the backup do not open under the master keys of this node" in done.stderr
    assert "made" in done.stdout
