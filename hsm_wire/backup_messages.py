"""Bodies of the operations about backups: for whoever is on a node's host. Over a network they are answered DENIED.

The file itself is in `backup_files`.
"""

from typing import Annotated, Final

import msgspec

from hsm_wire.forms import U32, U63, Body, Name

MAX_CHOSEN: Final = 1000
"""Names in one list of a choice; whoever wants more, wants a partition or everything."""
Chosen = Annotated[list[Name], msgspec.Meta(max_length=MAX_CHOSEN)]


class CreateBackup(Body, frozen=True):
    """CREATE_BACKUP: the next part of a backup. On the node's local socket only, like the other two."""

    backup_id: bytes = b""
    """Of the backup; empty: one is begun."""
    left_behind: bool = False
    """Of the store that a promotion has left behind, read from a member of it, instead of the one that is followed."""


class CreatedPart(Body, frozen=True):
    """Answer to CREATE_BACKUP."""

    backup_id: bytes
    part: bytes
    """As it is in the file."""
    last: bool
    rows: U63
    """In the file up to here."""
    left_out: U63
    """Records that were not authentic, up to here."""


class BackupPart(Body, frozen=True):
    """A part as a file has it."""

    kind: U32
    """0: the file ends before its end, or is none."""
    body: bytes
    mac: bytes


class VerifyBackup(Body, frozen=True):
    """VERIFY_BACKUP: the next part of a file. The header is answered with the number that the others are sent under."""

    part: BackupPart
    reading: U32 = 0
    """0: with the header."""
    prove: U63 = 0
    """How many keys are to be used, about; with the header."""


class RestoreChoice(Body, frozen=True):
    """What of a backup is restored; empty lists: everything. A name is an id in hexadecimal digits, or a label."""

    names: Chosen = msgspec.field(default_factory=list)
    partition: U32 = 0
    """0: any."""
    even_destroyed: Chosen = msgspec.field(default_factory=list)
    """What is brought back although the store knows it as destroyed, or its record there is damaged."""
    even_changed: Chosen = msgspec.field(default_factory=list)
    """What becomes as it was although it lives."""


class RestoreBackup(Body, frozen=True):
    """RESTORE_BACKUP and DR_RECONCILE: the next part of a file, as in VERIFY_BACKUP. Nothing is done before all were
    there once. DR_RECONCILE takes it for the side that a promotion has left behind: what that destroyed or restricted
    holds here too."""

    part: BackupPart
    reading: U32 = 0
    apply: bool = False
    """Whether to do it: the parts behind the header come once more, with this."""
    choice: RestoreChoice = RestoreChoice()
    """With the header."""


class BackupItem(Body, frozen=True):
    """A record of which more is to be said than that it was counted."""

    record_id: bytes
    partition: U32
    outcome: Name
    detail: Name = ""


class BackupCount(Body, frozen=True):
    """How many records came to the same."""

    outcome: Name
    records: U63


class BackupReading(Body, frozen=True):
    """Answer to VERIFY_BACKUP, RESTORE_BACKUP and DR_RECONCILE."""

    reading: U32
    whole: bool
    """Whether all of the file was there, and was authentic."""
    counts: list[BackupCount]
    """Up to here, in this run over the file."""
    items: list[BackupItem]
    """Of this part."""
    unknown: list[Name]
    """Names of the choice that no record of the file has; at the end."""
