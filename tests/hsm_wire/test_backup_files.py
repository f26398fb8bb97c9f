import pytest

from hsm_wire.backup_files import (
    END,
    FIRST_MAC,
    HEAD,
    HEADER,
    MAX_BODY_BYTES,
    PART_HEAD,
    ROWS,
    BackupFileError,
    BackupRow,
    BackupRows,
    authenticated,
    check_head,
    encode_part,
    read_part_head,
)
from hsm_wire.limits import DEFAULT_MAX_FRAME_BYTES, MAX_OBJECT_BYTES
from hsm_wire.messages import encode_body


def test_a_file_begins_with_what_it_is_and_the_version_of_its_form() -> None:
    assert HEAD == b"redoubt backup\n\x01"
    check_head(HEAD)


@pytest.mark.parametrize("data", [b"", HEAD[:-1], b"SQLite format 3\0", b"redoubt backuq\n\x01"])
def test_what_is_no_backup_is_not_read(data: bytes) -> None:
    with pytest.raises(BackupFileError, match="it is no backup"):
        check_head(data)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_an_older_or_newer_form_is_named(version: int) -> None:
    with pytest.raises(BackupFileError, match=f"its format is {version}, and this version reads 1"):
        check_head(HEAD[:-1] + bytes([version]))


def test_a_part_is_read_as_it_was_written() -> None:
    body = encode_body(BackupRows([BackupRow(b"name", b"data")]))
    part = encode_part(ROWS, body, bytes(32))
    head = read_part_head(part[: PART_HEAD.size])
    assert (head.kind, head.body_bytes, head.rest_bytes) == (ROWS, len(body), len(body) + 32)
    assert part[PART_HEAD.size :] == body + bytes(32)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "ends too early"),
        (b"\x01\x00\x00", "ends too early"),
        (PART_HEAD.pack(0, 1), "damaged"),
        (PART_HEAD.pack(4, 1), "damaged"),
        (PART_HEAD.pack(END, MAX_BODY_BYTES + 1), "damaged"),
    ],
)
def test_what_does_not_begin_a_part_is_refused_before_memory_is_taken_for_it(data: bytes, said: str) -> None:
    with pytest.raises(BackupFileError, match=said):
        read_part_head(data)


def test_what_is_authenticated_depends_on_everything_before_and_in_a_part() -> None:
    messages = {
        authenticated(before, kind, body)
        for before in (FIRST_MAC, b"m" * 32)
        for kind in (HEADER, ROWS)
        for body in (b"", b"a", b"\0")
    }
    assert len(messages) == 12
    assert {len(message) for message in messages} == {16 + 32 + 32}
    assert all(message.startswith(HEAD) for message in messages)


def test_a_part_with_the_largest_row_fits_a_frame() -> None:
    assert MAX_OBJECT_BYTES * 2 < MAX_BODY_BYTES // 2
    assert MAX_BODY_BYTES < DEFAULT_MAX_FRAME_BYTES // 2 + 1
