"""The journal says the same from memory and from its file, also when the process died in the middle."""

from pathlib import Path
from typing import Any

from execution_log import Journal, note_end, read_journal


def received(sequence: int, kind: str = "REQUEST", opcode: str = "SIGN") -> dict[str, Any]:
    return {
        "sequence": sequence, "connection": 1, "kind": kind, "opcode": opcode, "operation_id": 100 + sequence,
        "request_id": sequence, "principal": 0, "key_id": "", "fault": "",
    }  # fmt: skip


def write(path: Path, *sequences: int) -> Journal:
    journal = Journal("node-1", path)
    journal.note("started", boot_id="b1")
    journal.note("connected", connection=1)
    journal.note("greeted", connection=1, peer="proxy-1")
    for sequence in sequences:
        journal.note("received", **received(sequence))
    return journal


def test_a_journal_reads_as_it_was_written(tmp_path: Path) -> None:
    journal = write(tmp_path / "j", 1, 2, 3)
    journal.note("answered", sequence=2, status=0)
    journal.note("told", connection=1, window=4, state="up", administrative_state="ready")
    journal.note("bound", number=7, identity="spiffe://test/client/app")
    journal.note("breach", connection=1, detail="kind 99")
    journal.note("closed", connection=1)
    journal.close()
    read = read_journal("node-1", tmp_path / "j")
    assert read.executions == journal.record.executions
    assert (read.told, read.breaches) == (journal.record.told, journal.record.breaches)
    assert read.identities == {7: "spiffe://test/client/app"}
    first, second, _ = read.executions
    assert (first.peer, first.boot_id, first.operation_id) == ("proxy-1", "b1", 101)
    assert second.answered_at is not None
    assert second.ended_at is None
    assert first.ended_at == read.meetings[1].closed_at is not None


def test_what_was_in_flight_ends_with_the_process(tmp_path: Path) -> None:
    write(tmp_path / "j", 1).close()
    note_end(tmp_path / "j")
    write(tmp_path / "j", 1).close()  # the numbers begin anew with each start
    before, after = read_journal("node-1", tmp_path / "j").executions
    assert before.ended_at is not None
    assert after.ended_at is None


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    write(tmp_path / "j", 1).close()
    with (tmp_path / "j").open("ab") as journal:
        journal.write(b'{"event": "answ')
    assert len(read_journal("node-1", tmp_path / "j").executions) == 1


def test_requests_are_what_applications_asked_for() -> None:
    journal = Journal("node-1")
    journal.note("started", boot_id="b1")
    journal.note("connected", connection=1)
    journal.note("received", **received(1, "PING", ""))
    journal.note("received", **received(2, opcode="CHECK"))
    journal.note("received", **received(3))
    assert [each.request_id for each in journal.record.requests] == [3]
