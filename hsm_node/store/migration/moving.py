"""What is done to move a store, and to bring it back; `tell` gets lines about progress."""

import os
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from hsm_daemon import clock
from hsm_node.store.base import Row, StoreError
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import authenticated, decoded
from hsm_node.store.migration.digests import differences, digest_of, digest_of_all, digests_of
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.migration.mark import RUN_BYTES, Mark, encoded, maybe_mark
from hsm_node.store.migration.source import Source
from hsm_node.store.migration.target import Target
from hsm_node.store.sqlite_moved import Moved

BATCH_ROWS: Final = 100
"""In one transaction: etcd takes 128 operations."""
BATCH_BYTES: Final = 256 * 1024
"""Beyond it a transaction ends: a slow way between sites brings it within the half second that one try has."""
TELL_S: Final = 5.0
"""Between two lines about progress."""

Tell = Callable[[str], None]


class Report(msgspec.Struct, frozen=True):
    """What was done."""

    records: int
    """That are in both places, tombstones among them."""
    written: int
    """Of them by this run: an earlier one that was interrupted may have written the others."""
    digest: str
    """Of all records, the same on both sides; empty where nothing was compared."""
    place: str
    """Where the store is now."""
    already: bool = False
    """Whether an earlier run had done all of it."""


def migrate(source: Source, target: Target, tell: Tell) -> Report:
    """Move the store, or go on where an earlier run was interrupted.

    Raises:
        MigrationError: the target is in use, or is not what was written to it.
        StoreError: it did not answer.
    """
    found = target.check()
    if _is_there(source, target, found):
        return Report(source.count, 0, "", target.place, already=True)
    target.check_reach(source.revision)
    mark = encoded(Mark(source.record.cluster_id, source.revision, os.urandom(RUN_BYTES)))
    target.begin(mark, found)
    target.raise_to(source.revision, tell)
    written = _write(source, target, tell)
    tell(f"{source.count} records are there; both sides are compared")
    digest = _same(source, target)
    if source.moved is None:
        source.mark(Moved(target.place, int(clock.now())))
    target.finish(_check_value(source))
    return Report(source.count, written, digest, target.place)


def bring_back(source: Source, target: Target | None) -> Report:
    """Make the file the store again, and etcd none: a later move goes on from there.

    Args:
        source: the file.
        target: where it was moved to; None: that is not looked at, and what was changed there since is lost.

    Raises:
        MigrationError: it was not moved, or what is there is not what is in the file any more.
        StoreError: etcd did not answer.
    """
    if source.moved is None:
        raise MigrationError("the file is not marked as moved; there is nothing to undo")
    if target is None:
        source.unmark(0)
        return Report(source.count, 0, "", "the file")
    found = target.check()
    if found is None or not _is_ours(source, found):
        raise MigrationError(f"{target.place}: it does not hold the store of this file; name the one that does")
    mark = encoded(Mark(source.record.cluster_id, source.revision, os.urandom(RUN_BYTES)))
    target.begin(mark, found)  # From now on no node changes anything there.
    rows = list(target.rows())
    changed = differences(digests_of(source.rows()), digests_of(rows))
    if changed or (maybe_mark(found) is None and found != _check_value(source)):
        target.finish(found)
        raise MigrationError(
            f"{target.place}: {changed} records were changed or made since the move, and would be lost; stay there, or "
            "add --force to lose them"
        )
    source.unmark(max((row.revision for row in rows), default=0))
    return Report(source.count, 0, digest_of_all(digests_of(rows)), "the file")


def _is_there(source: Source, target: Target, found: bytes | None) -> bool:
    """Whether all of it was done before; refuse a target that is in use, or none that goes on."""
    moved = source.moved
    if found is None:
        if not target.is_empty():
            raise MigrationError(f"{target.place}: it is not empty, and holds no store; name an empty etcd")
        if moved is not None:
            raise MigrationError(
                f"the store was moved to {moved} already, and {target.place} is empty; name the one that has it"
            )
        return False
    mark = maybe_mark(found)
    if mark is None:
        if moved is not None and _is_ours(source, found):
            return True
        raise MigrationError(f"{target.place}: it is not empty, it holds a store; name an empty etcd")
    if mark.cluster_id != source.record.cluster_id:
        raise MigrationError(f"{target.place}: the migration of another store has not ended there; end that one first")
    if mark.revision > source.revision:
        raise MigrationError(
            f"the migration to {target.place} was begun at revision {mark.revision}, this file has {source.revision}: "
            "it is an older copy of the store; name the file that it was begun with"
        )
    return False


def _is_ours(source: Source, found: bytes) -> bool:
    """Whether what stands in etcd is the mark or the check record of this store."""
    mark = maybe_mark(found)
    if mark is not None:
        return mark.cluster_id == source.record.cluster_id
    try:
        return decoded(KeyValue(value=found)).record.cluster_id == source.record.cluster_id
    except StoreError:
        return False


def _check_value(source: Source) -> bytes:
    """Return the check record as it is stored in etcd. Its MAC does not depend on where it is."""
    return authenticated(source.record, source.mac)


def _write(source: Source, target: Target, tell: Tell) -> int:
    """Write the rows that are not there as they should be; return how many these were."""
    there = digests_of(target.rows())
    written = seen = 0
    said = clock.monotonic()
    for batch in _batches(source.rows()):
        wanted = [row for row in batch if there.get(row.name) != digest_of(row.data)]
        if wanted:
            target.write(wanted)
        written += len(wanted)
        seen += len(batch)
        if clock.monotonic() - said > TELL_S:
            said = clock.monotonic()
            tell(f"{seen} of {source.count} records are there")
    return written


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch: list[Row] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or size + len(row.data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row.data)
    if batch:
        yield batch


def _same(source: Source, target: Target) -> str:
    """Return the digest of all rows.

    Raises:
        MigrationError: the two sides are not equal.
    """
    here, there = digests_of(source.rows()), digests_of(target.rows())
    if digest_of_all(here) != digest_of_all(there):
        raise MigrationError(
            f"{target.place}: {differences(here, there)} of its records are not those of the file: somebody else "
            "writes to it, or it was begun with another copy of the store; nothing was marked as moved"
        )
    return digest_of_all(here)
