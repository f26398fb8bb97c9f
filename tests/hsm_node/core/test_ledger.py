"""What a node has seen of the store."""

import tracemalloc
from collections.abc import Callable

import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.ledger import (
    ENTRY_BYTES,
    MAX_CHANGES,
    MAX_WRITES,
    NAME_BYTES,
    Ledger,
    LedgerError,
    Snapshot,
    Verdict,
    split,
)

CLUSTER = b"c" * 16
MAX_BYTES_A_ROW = 120
Entries = list[tuple[bytes, bytes]]


def name(number: int) -> bytes:
    return number.to_bytes(2, "little") * (NAME_BYTES // 2)


@pytest.fixture
def ledger(keyring: Keyring) -> Ledger:
    return Ledger(keyring.ledger_mac, CLUSTER)


def entries(snapshot: Snapshot) -> Entries:
    return [(entry[:NAME_BYTES], entry[NAME_BYTES:]) for entry in split(snapshot.entries)]


def test_a_row_is_new_known_older_or_another_one(ledger: Ledger) -> None:
    assert ledger.see(name(1), 2, b"two") is Verdict.NEW
    assert ledger.see(name(1), 2, b"two") is Verdict.KNOWN
    assert ledger.see(name(1), 1, b"one") is Verdict.OLDER
    assert ledger.see(name(1), 2, b"TWO") is Verdict.OTHER
    assert ledger.see(name(1), 3, b"three") is Verdict.NEW
    assert ledger.see(name(1), 2, b"two") is Verdict.OLDER
    assert len(ledger) == 1


def test_names_that_are_no_longer_there_are_found(ledger: Ledger) -> None:
    for number in range(5):
        ledger.see(name(number), 1, b"")
    assert ledger.missing({name(0), name(1), name(3)}) == [name(2), name(4)]
    assert ledger.missing({name(number) for number in range(5)}) == []


def test_nodes_that_saw_the_same_have_the_same_digest_in_whatever_order(keyring: Keyring) -> None:
    one, two = Ledger(keyring.ledger_mac, CLUSTER), Ledger(keyring.ledger_mac, CLUSTER)
    for number in range(100):
        one.see(name(number), 1, b"old")
        one.see(name(number), 2, b"new")
    for number in reversed(range(100)):
        two.see(name(number), 2, b"new")
        assert (one.digest == two.digest) is (number == 0)
    two.see(name(7), 3, b"newer")
    assert one.digest != two.digest


def test_the_writes_that_were_seen_only_grow(ledger: Ledger) -> None:
    told = []
    for number, order in ((1, 1), (2, 3), (1, 2), (2, 1), (1, 2), (2, 4)):  # The fourth is an older row.
        ledger.see(name(number), order, b"")
        told.append(ledger.writes)
    assert told == [1, 4, 5, 5, 5, 6]
    ledger.see(name(3), MAX_WRITES, b"")
    assert ledger.writes == MAX_WRITES


def test_the_digest_needs_the_key(ledger: Ledger, other_keyring: Keyring) -> None:
    other = Ledger(other_keyring.ledger_mac, CLUSTER)
    for one in (ledger, other):
        one.see(name(1), 1, b"")
    assert ledger.digest != other.digest


def test_what_is_kept_is_taken_again(ledger: Ledger, keyring: Keyring) -> None:
    ledger.see(name(1), 2, b"two")
    ledger.follow(9)
    snapshot = ledger.snapshot()
    again = Ledger(keyring.ledger_mac, CLUSTER)
    again.restore(entries(snapshot), snapshot.header)
    assert (again.digest, again.revision, len(again), again.changed) == (ledger.digest, 9, 1, False)
    assert again.writes == ledger.writes == 2
    assert again.see(name(1), 1, b"one") is Verdict.OLDER


def flipped(data: bytes, at: int = -1) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda rows, header: (rows[1:], header), "changed, added or taken away"),
        (lambda rows, header: ([*rows, (name(9), rows[0][1])], header), "changed, added or taken away"),
        (lambda rows, header: ([(rows[0][0], flipped(rows[0][1], 7)), *rows[1:]], header), "changed, added"),
        (lambda rows, header: ([(rows[1][0], rows[0][1]), (rows[0][0], rows[1][1])], header), "changed, added"),
        (lambda rows, header: (rows, flipped(header)), "header was changed"),
        (lambda rows, header: (rows, flipped(header, 20)), "header was changed"),
        (lambda rows, header: (rows, b""), "header has not the form"),
        (lambda rows, header: (rows, None), "header has not the form"),
        (lambda rows, header: ([("text", b"")], header), "entry has not the form"),
        (lambda rows, header: ([(rows[0][0], b"short")], header), "entry has not the form"),
    ],
)
def test_what_somebody_changed_is_not_taken(
    ledger: Ledger, keyring: Keyring, harm: Callable[[Entries, bytes], tuple[Entries, bytes]], said: str
) -> None:
    ledger.see(name(1), 1, b"one")
    ledger.see(name(2), 2, b"two")
    snapshot = ledger.snapshot()
    with pytest.raises(LedgerError, match=said):
        Ledger(keyring.ledger_mac, CLUSTER).restore(*harm(entries(snapshot), snapshot.header))


def test_what_another_cluster_saw_is_not_taken(ledger: Ledger, keyring: Keyring) -> None:
    snapshot = ledger.snapshot()
    with pytest.raises(LedgerError, match="another cluster"):
        Ledger(keyring.ledger_mac, b"x" * 16).restore(entries(snapshot), snapshot.header)


def test_a_snapshot_has_what_changed_since_the_last_one(ledger: Ledger) -> None:
    assert not ledger.changed
    ledger.see(name(1), 1, b"")
    assert (ledger.changed, ledger.snapshot().whole, ledger.changed) == (True, True, False)
    ledger.see(name(1), 1, b"")
    assert not ledger.changed
    ledger.see(name(2), 1, b"")
    ledger.see(name(2), 2, b"")
    snapshot = ledger.snapshot()
    assert (snapshot.whole, [row for row, _ in entries(snapshot)]) == (False, [name(2)])
    ledger.follow(5)
    ledger.follow(4)
    assert (ledger.changed, ledger.revision, ledger.snapshot().entries) == (True, 5, [])


def test_after_a_failure_or_very_many_changes_everything_is_written(ledger: Ledger) -> None:
    ledger.see(name(1), 1, b"")
    ledger.snapshot()
    ledger.write_all()
    assert ledger.changed
    assert ledger.snapshot().whole
    for number in range(MAX_CHANGES + 1):
        ledger.see(name(number), 2, b"")
    snapshot = ledger.snapshot()
    assert (snapshot.whole, len(entries(snapshot))) == (True, MAX_CHANGES + 1)


def test_a_name_is_found_though_its_bytes_are_elsewhere_too(ledger: Ledger) -> None:
    inner = b"\x01" * NAME_BYTES
    # The second entry's bytes, seen from the middle of the first, look like that name.
    ledger.see(b"\x01" * (NAME_BYTES - 1) + b"\x02", 0x0101010101010101, b"")
    assert ledger.see(inner, 1, b"") is Verdict.NEW
    assert ledger.see(inner, 1, b"") is Verdict.KNOWN
    assert len(ledger) == 2


def test_a_name_of_another_length_is_no_name(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        ledger.see(b"short", 1, b"")


def test_a_row_takes_less_than_120_bytes_of_memory(keyring: Keyring) -> None:
    rows = 20_000
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    ledger = Ledger(keyring.ledger_mac, CLUSTER)
    for number in range(rows):
        ledger.see(keyring.name(1, number.to_bytes(16, "big")), 1, b"")
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert ENTRY_BYTES < taken / rows < MAX_BYTES_A_ROW


def test_how_often_a_row_was_written_is_known_of_what_was_seen(ledger: Ledger) -> None:
    assert ledger.order_of(name(1)) == 0
    ledger.see(name(1), 7, b"seven")
    assert (ledger.order_of(name(1)), ledger.order_of(name(2))) == (7, 0)
