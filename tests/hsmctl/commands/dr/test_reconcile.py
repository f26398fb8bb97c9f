"""hsmctl dr reconcile: what is read from where, and what is said of it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from backup_parts import CONTENT, PARTS
from click.testing import CliRunner, Result
from local_peer import FakeNode

from hsm_wire.backup_files import encode_part
from hsm_wire.backup_messages import (
    BackupCount,
    BackupItem,
    BackupReading,
    CreateBackup,
    CreatedPart,
    RestoreBackup,
)
from hsm_wire.messages import Failure, decode_body
from hsm_wire.opcodes import Opcode
from hsmctl.cli import main
from hsmctl.commands.dr import reconcile as command

ITEM = BackupItem(b"k" * 16, 1, "made", "only the old side has it")


class Cluster:
    """A node that has what a member of the old side gave it."""

    def __init__(self, node: FakeNode) -> None:
        self.counts = {"made": 1, "there": 5}
        self.items = [ITEM]
        self.left_behind = True
        self.applied: list[bool] = []
        node.answering = self._answer
        self._parts = [encode_part(part.kind, part.body, part.mac) for part in PARTS]

    def _answer(self, opcode: int, body: bytes) -> Any:
        if opcode == Opcode.CREATE_BACKUP:
            asked = decode_body(CreateBackup, body)
            if not self.left_behind:
                return Failure("no member of [store] endpoints answers that a promotion has left behind")
            assert asked.left_behind or asked.backup_id
            part = self._parts.pop(0)
            return CreatedPart(b"b" * 16, part, not self._parts, 1, 0)
        assert opcode == Opcode.DR_RECONCILE
        self.applied.append(decode_body(RestoreBackup, body).apply)
        counted = [BackupCount(*count) for count in self.counts.items()]
        return BackupReading(7, True, counted, self.items, [])


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    node = FakeNode(tmp_path / "admin.sock")
    monkeypatch.setattr(command, "host_of", lambda _session, _folder: SimpleNamespace(sockets=[node.path]))
    yield Cluster(node)
    node.close()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["dr", "reconcile", *map(str, arguments)])


def test_what_only_the_old_side_has_is_listed_and_nothing_is_changed(cluster: Cluster, tmp_path: Path) -> None:
    listed = run()
    assert listed.exit_code == 0, listed.stderr
    lines = listed.stdout.splitlines()
    assert lines[0] == "would be done, with what node-1 has (epoch 1, revision 7):"
    assert f"{(b'k' * 16).hex()} in partition 1: made, only the old side has it" in lines
    assert lines[-1] == "nothing was changed; `hsmctl dr reconcile --apply` imports it"
    assert (any(cluster.applied), sorted(path.name for path in tmp_path.iterdir())) == (False, ["admin.sock"])


def test_it_is_imported_on_command_from_a_backup_as_well(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "old.backup"
    file.write_bytes(CONTENT)
    document = json.loads(run("--apply", "--backup", file, "--json").stdout)
    assert (document["applied"], document["counts"], document["epoch"]) == (True, {"made": 1, "there": 5}, 1)
    assert document["records"][0]["outcome"] == "made"
    assert cluster.applied == [False] * 3 + [True] * 2
    cluster.counts, cluster.items = {"there": 6}, []
    assert run("--apply", "--backup", file).stdout.splitlines()[-1] == "this side has all of it"


def test_long_lists_are_cut(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "old.backup"
    file.write_bytes(CONTENT)
    cluster.items = [ITEM] * 10
    assert "and 10 more, with --json" in run("--backup", file).stdout


def test_records_that_do_not_authenticate_are_a_failure(cluster: Cluster) -> None:
    cluster.counts = {"unreadable": 2}
    refused = run()
    assert refused.exit_code == 1
    assert "2 records of the old side do not authenticate" in refused.stderr


def test_where_no_old_member_answers_it_says_so(cluster: Cluster) -> None:
    cluster.left_behind = False
    refused = run()
    assert refused.exit_code == 1
    assert "no member of [store] endpoints answers" in refused.stderr
