"""A backup as it is made and as it is read: parts, each authenticated together with all that is before it.

Theory. The rows are in the file as they are in the store, encrypted and authenticated, so the file gives nothing away
that a stolen store does not. What a row's MAC does not say is which rows belong together: rows of two backups could be
mixed, old states among new ones, and rows left out. So each part has a MAC under the MAC key of the master key, with a
prefix that no row's has, over the part and the MAC before it. The last one stands for the whole file.

Reading comes to its end before anything is done with what was read: `whole`. What is done then is done from the same
file, which is read once more and checked once more, so nobody can exchange it in between.
"""

import hmac
from typing import Final, NamedTuple, TypeVar

from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.refusal import Refusal
from hsm_wire.backup_files import (
    END,
    FIRST_MAC,
    FULL_PART_BYTES,
    HEADER,
    MAX_PART_ROWS,
    ROWS,
    BackupEnd,
    BackupHeader,
    BackupRow,
    BackupRows,
    authenticated,
    encode_part,
)
from hsm_wire.errors import BodyError
from hsm_wire.forms import Body, decode_body, encode_body
from hsm_wire.statuses import Status

DAMAGED: Final = "the backup is damaged, or parts of it are missing or in another order; use another one"
ENDS_EARLY: Final = "the backup ends too early, or is none; use another file"


B = TypeVar("B", bound=Body)


class BackupWriting:
    """Makes the parts of one backup, one after the other."""

    def __init__(self, header: BackupHeader, keyring: Keyring) -> None:
        self._keyring = keyring
        self._version = keyring.version_of(header.master_key)
        self._before = FIRST_MAC
        self._header = header
        self.rows = 0

    def header(self) -> bytes:
        """Return the first part."""
        return self._part(HEADER, self._header)

    def rows_part(self, rows: list[BackupRow]) -> bytes:
        """Return the part of these rows."""
        self.rows += len(rows)
        return self._part(ROWS, BackupRows(rows))

    def end(self, left_out: int) -> bytes:
        """Return the last part."""
        return self._part(END, BackupEnd(self.rows, left_out))

    def _part(self, kind: int, form: Body) -> bytes:
        body = encode_body(form)
        self._before = self._keyring.mac(authenticated(self._before, kind, body), self._version)
        return encode_part(kind, body, self._before)


class PartFill:
    """Gathers rows until a part is full."""

    def __init__(self) -> None:
        self.rows: list[BackupRow] = []
        self._bytes = 0

    def add(self, row: BackupRow) -> bool:
        """Take a row; whether the part is full then."""
        self.rows.append(row)
        self._bytes += len(row.name) + len(row.data)
        return self._bytes >= FULL_PART_BYTES or len(self.rows) >= MAX_PART_ROWS


class Part(NamedTuple):
    """A part as somebody says that a file has it."""

    kind: int
    body: bytes
    mac: bytes


class BackupReading:
    """One run over a file, or two of the same: parts in their order, and nothing else."""

    def __init__(self, part: Part, keyring: Keyring) -> None:
        """Begin with the header.

        Raises:
            Refusal: it is not authentic, or under a master key that is not held.
        """
        header = _decoded(BackupHeader, part) if part.kind == HEADER else None
        if header is None:
            raise Refusal(Status.BAD_DATA, ENDS_EARLY)
        version = keyring.version_of(header.master_key)
        if not version:
            raise Refusal(
                Status.BAD_DATA,
                f"the backup is under master key version {header.master_key_version} ({header.master_key.hex()}), "
                "which this node does not hold; use it where that is the master key",
            )
        self.header = header
        self._keyring, self._version = keyring, version
        self._first = self._before = FIRST_MAC
        self._check(part)
        self._first = part.mac
        self._rows = 0
        self.ended = False
        """Whether the end was read in this run."""
        self.whole = False
        """Whether a run has come to the end."""
        try:
            self.ring = keyring.of_store(header.naming_key, header.digest_key, version)
        except KeyringError:
            raise Refusal(Status.BAD_DATA, DAMAGED) from None
        """Opens the rows: it has the keys of the store that they are from."""

    def again(self) -> None:
        """Begin a run over the parts behind the header anew."""
        self._before = self._first
        self._rows = 0
        self.ended = False

    def take(self, part: Part) -> list[BackupRow]:
        """Return the rows of the next part; none of the last one.

        Raises:
            Refusal: it is not the next part of this backup.
        """
        if not part.kind:
            raise Refusal(Status.BAD_DATA, ENDS_EARLY)
        if self.ended or part.kind == HEADER:
            raise Refusal(Status.BAD_DATA, DAMAGED)
        self._check(part)
        if part.kind == ROWS:
            rows = _decoded(BackupRows, part).rows
            self._rows += len(rows)
            return rows
        if part.kind != END or _decoded(BackupEnd, part).rows != self._rows:
            raise Refusal(Status.BAD_DATA, DAMAGED)
        self.ended = self.whole = True
        return []

    def _check(self, part: Part) -> None:
        message = authenticated(self._before, part.kind, part.body)
        if not hmac.compare_digest(self._keyring.mac(message, self._version), part.mac):
            raise Refusal(Status.BAD_DATA, DAMAGED)
        self._before = part.mac


def _decoded(form: type[B], part: Part) -> B:
    try:
        return decode_body(form, part.body)
    except BodyError:
        raise Refusal(Status.BAD_DATA, DAMAGED) from None
