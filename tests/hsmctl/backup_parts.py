"""A file that has the form of a backup; nothing in it is authentic."""

from hsm_wire.backup_files import (
    END,
    HEAD,
    HEADER,
    ROWS,
    BackupEnd,
    BackupHeader,
    BackupRow,
    BackupRows,
    encode_part,
)
from hsm_wire.backup_messages import BackupPart
from hsm_wire.messages import encode_body

HEADER_BODY = BackupHeader(
    b"b" * 16, "dev", b"c" * 16, "node-1", 1_800_000_000, 7, 1, b"fingerpr", 1, b"n" * 40, b"d" * 40, 1
)
PARTS = [
    BackupPart(HEADER, encode_body(HEADER_BODY), b"1" * 32),
    BackupPart(ROWS, encode_body(BackupRows([BackupRow(b"n" * 32, b"data")])), b"2" * 32),
    BackupPart(END, encode_body(BackupEnd(1, 0)), b"3" * 32),
]
CONTENT = HEAD + b"".join(encode_part(part.kind, part.body, part.mac) for part in PARTS)
