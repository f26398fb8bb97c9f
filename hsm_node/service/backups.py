"""CREATE_BACKUP, VERIFY_BACKUP, RESTORE_BACKUP and DR_RECONCILE: the handlers, and what they have under way."""

from collections.abc import Callable, Collection
from typing import Final

from hsm_node.backends.base import Backend
from hsm_node.backends.key_prover import KeyProver
from hsm_node.core.keyring import Keyring
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.restoring_kinds import KeyRestoring, ObjectRestoring
from hsm_node.service.backup_checking import BackupChecking
from hsm_node.service.backup_making import BackupMaking
from hsm_node.service.backup_readings import Kind, Kinds
from hsm_node.service.backup_restoring import BackupRestoring
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.record_rows import RecordRows
from hsm_node.service.request import Request
from hsm_node.service.unjoined import Unjoined
from hsm_node.state.backup_state import BackupState
from hsm_node.store.base import Store
from hsm_node.work.pool import Pool
from hsm_wire.backup_messages import CreateBackup, RestoreBackup, VerifyBackup
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

LOCAL: Final = frozenset({Opcode.CREATE_BACKUP, Opcode.RESTORE_BACKUP, Opcode.VERIFY_BACKUP, Opcode.DR_RECONCILE})
"""Operations for people on the node's own host: a certificate of an operator that was stolen takes no keys away."""
THREADS: Final = 1
"""Of the pool: backups take their time, requests of clients do not."""
NICE: Final = 19
"""Steps by which they yield to signatures where cores are short."""
WAITING: Final = 16
"""Parts that wait for the thread: more than there are backups under way."""


def not_local() -> Refusal:
    """Return the answer to who asks over a network."""
    return Refusal(
        Status.DENIED,
        "backups are made, verified, restored and reconciled on a node's host only, by `hsmctl` as root",
        not_executed=True,
    )


class Backups:
    """Of one node."""

    def __init__(
        self,
        cluster: str,
        node: str,
        keys: RecordRows[Record],
        objects: RecordRows[ObjectRecord],
        backend: Backend,
        keyring: Keyring,
        store: Store,
        follower: Follower,
        confirmations: Confirmations,
        failures: Failures,
        partitions: Callable[[], Collection[int]],
        *,
        writer: Pool,
    ) -> None:
        self.state: BackupState | None = None
        """Keeps how the last verification ended, beyond this process."""
        self.pool = Pool("backup", THREADS, WAITING, nice=NICE)
        self._failures = failures
        kinds = Kinds(Kind(keys, KeyRestoring()), Kind(objects, ObjectRestoring()))
        self._making = BackupMaking(cluster, node, store, keyring, follower, kinds.rows, self.pool)
        self._checking = BackupChecking(keyring, KeyProver(backend), kinds, self.pool, lambda: self.state)
        self._restoring = BackupRestoring(
            store, keyring, follower, kinds, confirmations, partitions, pool=self.pool, writer=writer
        )
        self._unjoined = Unjoined(store, keyring, kinds)

    def create(self, request: Request, body: CreateBackup) -> bytes | None:
        """CREATE_BACKUP."""
        return answer_later(request, self._making.part(request, body), self._failures)

    def verify(self, request: Request, body: VerifyBackup) -> bytes | None:
        """VERIFY_BACKUP."""
        return answer_later(request, self._checking.part(request, body), self._failures)

    def restore(self, request: Request, body: RestoreBackup) -> bytes | None:
        """RESTORE_BACKUP."""
        return answer_later(request, self._restoring.part(request, body), self._failures)

    def reconcile(self, request: Request, body: RestoreBackup) -> bytes | None:
        """DR_RECONCILE."""
        return answer_later(request, self._restoring.part(request, body, joins=True), self._failures)

    async def unjoined(self, request: Request) -> int:
        """Return how many records DR_RECONCILE would still take over from the side of this node.

        Raises:
            Refusal, StoreError: nobody can say.
        """
        return await self.pool.run(request.deadline, self._unjoined.count, measured=False, asker=request)

    def sweep(self) -> None:
        """Give up what nobody goes on with."""
        self.pool.sweep()
        for part in (self._making, self._checking.readings, self._restoring.readings):
            part.sweep()

    def close(self) -> None:
        """End the thread, and let go of the store."""
        self.pool.close()
        self._making.close()
