"""CREATE_BACKUP: the rows of keys and objects as of one revision, part by part, each when it is asked for.

Rows of what nodes say and are told (administrative states, master keys) are about this cluster's nodes, and stay here.
"""

import os
from collections import deque
from collections.abc import Collection, Mapping
from typing import Any, Final

from hsm_daemon import clock, logs
from hsm_node.core.backups import BackupWriting, PartFill
from hsm_node.core.envelopes import RecordError, format_of
from hsm_node.core.keyring import Keyring
from hsm_node.core.refusal import Refusal
from hsm_node.service.follower import Follower
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.request import Request
from hsm_node.store.base import Row, Side, Snapshot, Store
from hsm_node.work.pool import Pool
from hsm_wire.backup_files import BackupHeader, BackupRow
from hsm_wire.backup_messages import CreateBackup, CreatedPart
from hsm_wire.messages import encode_body
from hsm_wire.statuses import Status

ID_BYTES: Final = 16
MAX_MAKING: Final = 2
"""Backups that are made at once: the timer's, and that of somebody who makes one by hand."""
IDLE_S: Final = 60.0
"""Without a question for its next part, a backup is given up: the store keeps old states for it."""

_log = logs.logger("hsm_node.backup")


class _Making:
    """One that is under way."""

    def __init__(
        self,
        header: BackupHeader,
        snapshot: Snapshot,
        keyring: Keyring,
        kinds: Mapping[int, RecordRows[Any]],
        *,
        unchecked: bool = False,
    ) -> None:
        """Begin; `unchecked`: whoever reads it looks whether rows are authentic, and names those that are not."""
        self.snapshot = snapshot
        self.used_s = clock.monotonic()
        self.busy = False
        self.last = False
        self.left_out = 0
        self._header: BackupHeader | None = header
        self._writing = BackupWriting(header, keyring)
        self._kinds = kinds
        self._unchecked = unchecked
        self._rows: deque[Row] = deque()
        """That were read and are in no part yet."""

    @property
    def rows(self) -> int:
        return self._writing.rows

    def next_part(self, refused: Collection[bytes]) -> bytes:
        """In a thread, for a device may have to make MACs: return the next part.

        Args:
            refused: names of rows that must not be used.
        """
        if self._header is not None:
            self._header = None
            return self._writing.header()
        fill = PartFill()
        while True:
            if not self._rows:
                self._rows.extend(self.snapshot.read())
            if not self._rows or self._fill(fill, refused):
                break
        if fill.rows:
            return self._writing.rows_part(fill.rows)
        self.last = True
        return self._writing.end(self.left_out)

    def _fill(self, fill: PartFill, refused: Collection[bytes]) -> bool:
        """Bring rows into a part; whether it is full then."""
        while self._rows:
            row = self._rows.popleft()
            kind = self._kinds.get(format_of(row.data))
            if kind is None:
                continue
            if not self._unchecked and (row.name in refused or not _is_authentic(kind, row)):
                self.left_out += 1
            elif fill.add(BackupRow(row.name, row.data)):
                return True
        return False


class BackupMaking:
    """Those that are under way. On the loop."""

    def __init__(
        self,
        cluster: str,
        node: str,
        store: Store,
        keyring: Keyring,
        follower: Follower,
        kinds: Mapping[int, RecordRows[Any]],
        pool: Pool,
    ) -> None:
        """Make nothing yet.

        Args:
            cluster: its name.
            node: this one.
            store: that is backed up.
            keyring: of this node.
            follower: knows which rows must not be used.
            kinds: number of a format -> the kind of rows that is in a backup.
            pool: where the work is done.
        """
        self._cluster = cluster
        self._node = node
        self._store = store
        self._keyring = keyring
        self._follower = follower
        self._kinds = kinds
        self._pool = pool
        self._making: dict[bytes, _Making] = {}

    async def part(self, request: Request, body: CreateBackup) -> tuple[Status, bytes]:
        """Return the next part."""
        backup_id = body.backup_id
        if not backup_id:
            backup_id = await self._begin(request, left_behind=body.left_behind)
        making = self._making.get(backup_id)
        if making is None or making.busy:
            raise Refusal(Status.BAD_REQUEST, "this backup is not being made, or was given up; begin anew")
        making.busy = True
        try:
            refused = frozenset(self._follower.refused)
            part = await self._pool.run(
                request.deadline, lambda: making.next_part(refused), measured=False, asker=request
            )
        except BaseException:
            self._drop(backup_id)
            raise
        making.busy, making.used_s = False, clock.monotonic()
        if making.last:
            self._drop(backup_id)
            who = request.principal.identity
            said = {"backup": backup_id.hex(), "rows": making.rows, "left_out": making.left_out, "who": who}
            logs.event(_log, "warning" if making.left_out else "info", "a backup was made", **said)
        return Status.OK, encode_body(CreatedPart(backup_id, part, making.last, making.rows, making.left_out))

    def sweep(self) -> None:
        """Give up what nobody asks for any more."""
        now = clock.monotonic()
        for backup_id, making in list(self._making.items()):
            if not making.busy and now - making.used_s > IDLE_S:
                self._drop(backup_id)

    def close(self) -> None:
        """Give up everything."""
        for backup_id in list(self._making):
            self._drop(backup_id)

    async def _begin(self, request: Request, *, left_behind: bool) -> bytes:
        if len(self._making) >= MAX_MAKING:
            raise Refusal(Status.OVERLOADED, f"{MAX_MAKING} backups are being made here; try again later")
        read = self._left_behind if left_behind else self._snapshot
        node, epoch, snapshot = await self._pool.run(request.deadline, read, measured=False, asker=request)
        version = self._keyring.version
        naming, digest = self._keyring.wrapped_store_keys(version)
        header = BackupHeader(
            backup_id=os.urandom(ID_BYTES),
            cluster=self._cluster,
            cluster_id=self._store.cluster_id,
            node=node,
            made=int(clock.now()),
            revision=snapshot.revision,
            epoch=epoch,
            master_key=self._keyring.fingerprint(version),
            master_key_version=version,
            naming_key=naming,
            digest_key=digest,
            records=sum(kind.table.live for kind in set(self._kinds.values())),
        )
        making = _Making(header, snapshot, self._keyring, self._kinds, unchecked=left_behind)
        self._making[header.backup_id] = making
        return header.backup_id

    def _snapshot(self) -> Side:
        """Return what is to be in the backup: of which node, in which epoch, and the rows."""
        return Side(self._node, self._store.epoch, self._store.snapshot())

    def _left_behind(self) -> Side:
        found = self._store.left_behind()
        if found is None:
            if not self._store.promoted:
                text = "no promotion holds here: no side was left behind; there is nothing to reconcile"
                raise Refusal(Status.BAD_REQUEST, text)
            text = (
                "no member of [store] endpoints answers that a promotion has left behind: start one of the old side's, "
                "or give a backup of that side"
            )
            raise Refusal(Status.BAD_REQUEST, text)
        return found

    def _drop(self, backup_id: bytes) -> None:
        making = self._making.pop(backup_id, None)
        if making is not None:
            making.snapshot.close()


def _is_authentic(kind: RecordRows[Any], row: Row) -> bool:
    try:
        kind.open(row)
    except RecordError:
        return False
    return True
