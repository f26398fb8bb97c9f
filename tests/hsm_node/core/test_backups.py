"""Parts of a backup: what was made is read, and nothing else is."""

import os
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_node.core.backups import DAMAGED, ENDS_EARLY, BackupReading, BackupWriting, Part, PartFill
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_wire.backup_files import (
    END,
    FULL_PART_BYTES,
    HEADER,
    MAC_BYTES,
    MAX_PART_ROWS,
    PART_HEAD,
    ROWS,
    BackupEnd,
    BackupHeader,
    BackupRow,
    BackupRows,
    authenticated,
)
from hsm_wire.messages import Empty, encode_body
from hsm_wire.statuses import Status

RING = Keyring(bytes(range(32)))
ROW_LISTS = [[BackupRow(bytes([number]) * 32, b"data %d" % number)] for number in range(3)]


def header(ring: Keyring = RING, **changes: object) -> BackupHeader:
    naming, digest = ring.wrapped_store_keys()
    fields: dict[str, object] = {
        "backup_id": os.urandom(16),
        "cluster": "dev",
        "cluster_id": b"c" * 16,
        "node": "node-1",
        "made": 1000,
        "revision": 7,
        "epoch": 1,
        "master_key": ring.fingerprint(),
        "master_key_version": ring.version,
        "naming_key": naming,
        "digest_key": digest,
        "records": 3,
    }
    return BackupHeader(**{**fields, **changes})  # type: ignore[arg-type]  # each has its own type


def part_of(data: bytes) -> Part:
    return Part(data[0], data[PART_HEAD.size : -MAC_BYTES], data[-MAC_BYTES:])


def made(ring: Keyring = RING, **changes: object) -> list[Part]:
    writing = BackupWriting(header(ring, **changes), ring)
    parts = [writing.header(), *(writing.rows_part(rows) for rows in ROW_LISTS), writing.end(2)]
    assert writing.rows == 3
    return [part_of(part) for part in parts]


def sealed(before: Part, kind: int, body: bytes) -> Part:
    """Return a part that somebody with the key has made."""
    return Part(kind, body, RING.mac(authenticated(before.mac, kind, body)))


def read(parts: Sequence[Part], ring: Keyring = RING) -> BackupReading:
    reading = BackupReading(parts[0], ring)
    for part in parts[1:]:
        reading.take(part)
    return reading


def refusal(parts: Sequence[Part], ring: Keyring = RING) -> str:
    with pytest.raises(Refusal) as refused:
        read(parts, ring)
    assert refused.value.status is Status.BAD_DATA
    return refused.value.detail


def test_what_was_written_is_read_and_is_whole_at_its_end_only() -> None:
    parts = made()
    reading = BackupReading(parts[0], RING)
    assert reading.header.cluster == "dev"
    assert [reading.take(part) for part in parts[1:-1]] == ROW_LISTS
    assert not reading.whole
    assert reading.take(parts[-1]) == []
    assert reading.whole
    assert reading.ended


def test_the_same_file_is_read_again_from_its_first_rows_on() -> None:
    parts = made()
    reading = read(parts)
    reading.again()
    assert reading.whole
    assert not reading.ended
    assert [reading.take(part) for part in parts[1:-1]] == ROW_LISTS
    reading.take(parts[-1])
    assert reading.ended


def test_the_ring_of_a_reading_has_the_keys_of_the_store_that_was_backed_up() -> None:
    source = Keyring(bytes(range(32)))
    source.make_store_keys()
    reading = BackupReading(made(source)[0], RING)
    assert reading.ring.name(1, b"k" * 16) == source.name(1, b"k" * 16) != RING.name(1, b"k" * 16)


@pytest.mark.parametrize("order", [[0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [0, 1, 3, 4], [0, 4], [0, 1, 2, 3, 4, 4]])
def test_parts_in_another_order_twice_or_left_out_are_refused(order: list[int]) -> None:
    parts = made()
    assert refusal([parts[number] for number in order]) == DAMAGED


def test_a_part_of_another_backup_is_refused() -> None:
    parts, other = made(), made()
    assert refusal([*parts[:2], other[2], *parts[3:]]) == DAMAGED
    assert refusal([parts[0], *other[1:]]) == DAMAGED


def test_a_file_that_ends_early_is_refused_and_so_is_what_begins_with_no_header() -> None:
    parts = made()
    assert refusal([*parts[:2], Part(0, b"", b"")]) == ENDS_EARLY
    assert refusal([Part(0, b"", b"")]) == ENDS_EARLY
    assert refusal(parts[1:]) == ENDS_EARLY
    assert refusal([parts[0], parts[0]]) == DAMAGED


def test_who_can_make_macs_cannot_make_a_part_that_is_none() -> None:
    parts = made()
    assert refusal([parts[0], sealed(parts[0], ROWS, encode_body(Empty()))]) == DAMAGED
    assert refusal([parts[0], sealed(parts[0], END, encode_body(BackupEnd(9, 0)))]) == DAMAGED
    assert refusal([parts[0], sealed(parts[0], 7, encode_body(BackupRows([])))]) == DAMAGED
    assert refusal([Part(HEADER, encode_body(Empty()), bytes(32))]) == DAMAGED


def test_another_master_key_is_named_by_what_tells_keys_apart() -> None:
    other = Keyring(b"o" * 32)
    parts = made()
    said = refusal(parts, other)
    assert said.startswith(f"the backup is under master key version 1 ({RING.fingerprint().hex()})")
    assert "which this node does not hold" in said
    # One that only says that it is under a key that is held.
    assert refusal(made(RING, master_key=RING.fingerprint())[:1] + made(other)[1:]) == DAMAGED


def test_store_keys_that_do_not_open_are_damage() -> None:
    assert refusal(made(RING, naming_key=bytes(40))) == DAMAGED


def test_a_backup_is_made_and_read_under_the_master_key_in_use_while_two_are_held() -> None:
    ring = Keyring(bytes(range(32)))
    ring.hold(b"n" * 32, 2)
    ring.use(2)
    assert read(made(ring), Keyring(b"n" * 32)).whole
    assert read(made(), ring).whole


@given(st.data())
def test_one_bit_anywhere_is_found(data: st.DataObject) -> None:
    parts = made()
    number = data.draw(st.integers(0, len(parts) - 1))
    changed = bytearray(bytes([parts[number].kind]) + parts[number].body + parts[number].mac)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[number] = Part(changed[0], bytes(changed[1:-MAC_BYTES]), bytes(changed[-MAC_BYTES:]))
    refusal(parts)


def test_a_part_is_full_by_its_rows_or_by_its_bytes() -> None:
    small = PartFill()
    filled = [small.add(BackupRow(b"n", b"d")) for _ in range(MAX_PART_ROWS)]
    assert filled == [False] * (MAX_PART_ROWS - 1) + [True]
    assert len(small.rows) == MAX_PART_ROWS
    large = PartFill()
    assert not large.add(BackupRow(b"n", bytes(FULL_PART_BYTES - 2)))
    assert large.add(BackupRow(b"n", b""))
