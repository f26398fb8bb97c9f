"""Runs over a backup's file, with a node that a thread plays."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backup_parts import CONTENT, HEADER_BODY, PARTS
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
from hsmctl import backup_runs
from hsmctl.backup_runs import MAX_ITEMS, Node, Restoring, make, verify
from hsmctl.failures import CommandError


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeNode]:
    made = FakeNode(tmp_path / "admin.sock")
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.backup"
    path.write_bytes(CONTENT)
    return path


def reading(*counts: tuple[str, int], items: int = 0, unknown: tuple[str, ...] = ()) -> BackupReading:
    named = [BackupItem(b"k" * 16, 1, "made", "more")] * items
    return BackupReading(7, True, [BackupCount(*count) for count in counts], named, list(unknown))


def test_a_backup_is_written_part_by_part_and_named_by_what_its_header_says(fake: FakeNode, tmp_path: Path) -> None:
    parts = [encode_part(part.kind, part.body, part.mac) for part in PARTS]
    answers = [CreatedPart(b"b" * 16, part, number == 3, number, 1) for number, part in enumerate(parts, 1)]
    fake.answering = lambda _opcode, _body: answers.pop(0)
    with Node(fake.path) as node:
        made = make(node, None, tmp_path)
    assert made.file.written.read_bytes() == CONTENT
    assert made.file.path == tmp_path / "redoubt-dev-20270115T080000Z.backup"
    assert not made.file.path.exists()
    assert (made.header, made.rows, made.left_out) == (HEADER_BODY, 3, 1)


def test_what_goes_wrong_while_it_is_written_leaves_nothing(fake: FakeNode, tmp_path: Path) -> None:
    first = encode_part(PARTS[0].kind, PARTS[0].body, PARTS[0].mac)
    answers: list[Any] = [CreatedPart(b"b" * 16, first, False, 1, 0), Failure("the store is away")]
    fake.answering = lambda _opcode, _body: answers.pop(0)
    with Node(fake.path) as node, pytest.raises(Exception, match="the store is away"):
        make(node, tmp_path / "y.backup", None)
    assert [path.name for path in tmp_path.iterdir()] == ["admin.sock"]


def test_a_verification_sends_all_parts_under_the_number_that_it_was_given(fake: FakeNode, file: Path) -> None:
    asked: list[VerifyBackup] = []

    def answer(_opcode: int, body: bytes) -> BackupReading:
        asked.append(decode_body(VerifyBackup, body))
        return reading(("authentic", len(asked)), items=600)

    fake.answering = answer
    with Node(fake.path) as node:
        run = verify(node, file, 5)
    assert [(body.part, body.reading, body.prove) for body in asked] == [
        (PARTS[0], 0, 5),
        (PARTS[1], 7, 5),
        (PARTS[2], 7, 5),
    ]
    assert run.header == HEADER_BODY
    assert run.counts == {"authentic": 3}
    assert len(run.items) == MAX_ITEMS


@pytest.mark.parametrize("length", [0, 20, len(CONTENT) - 1])
def test_a_file_that_ends_early_is_told_to_the_node(fake: FakeNode, file: Path, length: int) -> None:
    file.write_bytes(CONTENT[:length])
    asked: list[VerifyBackup] = []

    def answer(_opcode: int, body: bytes) -> BackupReading | Failure:
        asked.append(decode_body(VerifyBackup, body))
        return reading() if asked[-1].part.kind else Failure("it ends")

    fake.answering = answer
    with Node(fake.path) as node, pytest.raises(CommandError, match=r"x.backup: .*; use another backup"):
        verify(node, file, 5)
    assert asked[-1].part.kind == 0


def test_what_the_node_finds_is_said_with_the_files_name(fake: FakeNode, file: Path) -> None:
    fake.answering = lambda _opcode, _body: Failure("the backup is damaged; use another one")
    with Node(fake.path) as node:
        with pytest.raises(CommandError, match=r"x.backup: the backup is damaged; use another one"):
            verify(node, file, 5)
        with pytest.raises(CommandError, match=r"x.backup: the backup is damaged; use another one"):
            Restoring(node, file, RestoreChoice()).look()


def test_a_restore_looks_first_and_does_it_from_the_first_rows_on(fake: FakeNode, file: Path) -> None:
    asked: list[RestoreBackup] = []

    def answer(_opcode: int, body: bytes) -> BackupReading:
        asked.append(decode_body(RestoreBackup, body))
        return reading(("made", len(asked)), unknown=("nobody",))

    fake.answering = answer
    choice = RestoreChoice(["tls"])
    with Node(fake.path) as node:
        restoring = Restoring(node, file, choice)
        looked, done = restoring.look(), restoring.apply()
    assert [(body.part, body.reading, body.apply) for body in asked] == [
        (PARTS[0], 0, False),
        (PARTS[1], 7, False),
        (PARTS[2], 7, False),
        (PARTS[1], 7, True),
        (PARTS[2], 7, True),
    ]
    assert asked[0].choice == choice
    assert looked.unknown == ["nobody"]
    assert (looked.counts, done.counts) == ({"made": 3}, {"made": 5})


def test_a_damaged_file_is_not_restored_and_the_node_does_not_wait_for_the_rest(fake: FakeNode, file: Path) -> None:
    asked: list[RestoreBackup] = []

    def answer(_opcode: int, body: bytes) -> BackupReading | Failure:
        asked.append(decode_body(RestoreBackup, body))
        return reading() if asked[-1].part.kind else Failure("it ends")

    file.write_bytes(CONTENT[:-1])
    fake.answering = answer
    with Node(fake.path) as node, pytest.raises(CommandError, match="it ends too early; use another backup"):
        Restoring(node, file, RestoreChoice()).look()
    assert [(body.part.kind, body.reading) for body in asked[-2:]] == [(PARTS[1].kind, 7), (0, 7)]


def test_a_look_that_nothing_follows_is_given_up_once(fake: FakeNode, file: Path) -> None:
    asked: list[RestoreBackup] = []

    def answer(_opcode: int, body: bytes) -> BackupReading | Failure:
        asked.append(decode_body(RestoreBackup, body))
        return reading() if asked[-1].part.kind else Failure("it ends")

    fake.answering = answer
    with Node(fake.path) as node:
        restoring = Restoring(node, file, RestoreChoice())
        restoring.give_up()
        restoring.look()
        restoring.give_up()
        restoring.give_up()
    assert [body.part.kind for body in asked] == [part.kind for part in PARTS] + [0]


def test_a_connection_that_has_served_for_long_is_followed_by_another(
    fake: FakeNode, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup_runs, "CONNECTION_S", -1.0)
    fake.answering = lambda _opcode, _body: reading()
    with Node(fake.path) as node:
        verify(node, file, 5)
    assert fake.connections == 3
