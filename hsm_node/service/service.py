"""Opcode -> handler, and the checks that every request passes first."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from hsm_daemon import clock
from hsm_node.core.authorize import allow_operation
from hsm_node.core.refusal import Refusal
from hsm_node.service.administration import Administration
from hsm_node.service.backups import LOCAL, Backups, not_local
from hsm_node.service.checks import Checks
from hsm_node.service.failures import HALTED, Failures
from hsm_node.service.follower import Follower
from hsm_node.service.general import General
from hsm_node.service.key_makers import KeyMakers
from hsm_node.service.key_records import KeyRecords
from hsm_node.service.key_uses import KeyUses
from hsm_node.service.master_keys import MasterKeys
from hsm_node.service.object_operations import ObjectOperations
from hsm_node.service.promotion import Promotion
from hsm_node.service.recovery import Recovery
from hsm_node.service.request import Request
from hsm_node.service.sealed_service import share_over_the_network
from hsm_node.service.tally import Tally
from hsm_wire.messages import decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import GENERATIONS, OPERATIONS, SIGNATURES, Operation, Work
from hsm_wire.statuses import Status

Handler = Callable[[Request, Any], bytes | None]
"""Returns the body of the answer, or None where it answers later."""

_STORELESS: Final = frozenset(
    {
        Opcode.INFO,
        Opcode.RANDOM,
        Opcode.CHECK,
        Opcode.USAGE,
        Opcode.DR_STATUS,
        Opcode.DR_DRILL,
        Opcode.DR_PROMOTE,
        Opcode.DR_VOUCH,
        Opcode.DR_DEMOTE,
    }
)
"""Operations that need no contact with the store, or find out by themselves whether there is one."""
_WRITES: Final = frozenset({Work.CHANGE, Work.GENERATE, Work.ADMINISTER})
_NAMED_BY_OPERATION_ID: Final = frozenset(
    {
        Opcode.UPDATE_KEY,
        Opcode.DESTROY_KEY,
        Opcode.ROTATE_KEY,
        Opcode.UPDATE_OBJECT,
        Opcode.DESTROY_OBJECT,
        Opcode.SET_NODE_STATE,
    }
)
"""Changes of what is there: sent again, they find themselves by the operation id. What is new is found by its own."""


class _Row(msgspec.Struct, frozen=True):
    operation: Operation
    handler: Handler
    needs_store: bool
    needs_operation_id: bool
    executed: Callable[[int], None] | None
    """Counts it for the partition's quota."""


class Service:
    """Everything that a node does for a request, between the connection and the keys."""

    def __init__(
        self,
        follower: Follower,
        general: General,
        uses: KeyUses,
        records: KeyRecords,
        makers: KeyMakers,
        objects: ObjectOperations,
        checks: Checks,
        administration: Administration,
        master_keys: MasterKeys,
        backups: Backups,
        recovery: Recovery,
        tally: Tally,
        failures: Failures,
        *,
        promotion: Promotion,
        check_durability: Callable[[Request], None] = lambda _request: None,
    ) -> None:
        self._follower = follower
        self._promotion = promotion
        self._check_durability = check_durability
        self._failures = failures
        handlers: dict[Opcode, Handler] = {
            Opcode.INFO: general.info,
            Opcode.RANDOM: general.random,
            Opcode.CHECK: checks.check,
            Opcode.USAGE: tally.told,
            Opcode.CLUSTER_STATE: administration.cluster_state,
            Opcode.SET_NODE_STATE: administration.set_node_state,
            Opcode.DR_PROMOTE: promotion.promote,
            Opcode.DR_VOUCH: promotion.vouch,
            Opcode.DR_DEMOTE: promotion.demote,
            Opcode.DR_RECONCILE: backups.reconcile,
            Opcode.REMOVE_NODE: administration.remove_node,
            Opcode.MASTER_KEY_STATUS: master_keys.status,
            Opcode.ROTATE_MASTER_KEY: master_keys.rotate,
            Opcode.CREATE_BACKUP: backups.create,
            Opcode.RESTORE_BACKUP: backups.restore,
            Opcode.VERIFY_BACKUP: backups.verify,
            Opcode.DR_STATUS: recovery.status,
            Opcode.DR_DRILL: recovery.drill,
            Opcode.GENERATE_KEY: records.generate,
            Opcode.IMPORT_KEY: records.import_key,
            Opcode.DESCRIBE_KEY: records.describe,
            Opcode.FIND_KEYS: records.find,
            Opcode.UPDATE_KEY: records.update,
            Opcode.DESTROY_KEY: records.destroy,
            Opcode.ROTATE_KEY: records.rotate,
            Opcode.ADOPT_KEY: records.adopt,
            Opcode.WRAP_KEY: makers.wrap,
            Opcode.UNWRAP_KEY: makers.unwrap,
            Opcode.DERIVE: makers.derive,
            Opcode.ENCAPSULATE: makers.encapsulate,
            Opcode.DECAPSULATE: makers.decapsulate,
            Opcode.CREATE_OBJECT: objects.create,
            Opcode.READ_OBJECT: objects.read,
            Opcode.FIND_OBJECTS: objects.find,
            Opcode.UPDATE_OBJECT: objects.update,
            Opcode.DESTROY_OBJECT: objects.destroy,
            Opcode.SIGN: uses.sign,
            Opcode.VERIFY: uses.verify,
            Opcode.ENCRYPT: uses.encrypt,
            Opcode.DECRYPT: uses.decrypt,
        }
        counts = dict.fromkeys(SIGNATURES, tally.signed) | dict.fromkeys(GENERATIONS, tally.generated)
        self._rows = {
            int(opcode): _Row(
                OPERATIONS[opcode],
                handler,
                opcode not in _STORELESS,
                opcode in _NAMED_BY_OPERATION_ID,
                counts.get(int(opcode)),
            )
            for opcode, handler in handlers.items()
        }

    @property
    def current(self) -> bool:
        """Whether the keys are those of the store."""
        return self._follower.current

    def doubt(self) -> None:
        """Serve as stale until the store was looked at: the process stood still."""
        self._follower.doubt()

    def follow(self) -> None:
        """Bring the key table to the store's state: called after bytes arrived, before their requests are served."""
        self._follower.follow()

    def serve(self, request: Request) -> None:
        """Serve one request; its answer goes to its sink, now or later."""
        try:
            row = self._rows.get(request.opcode)
            if row is None:
                raise _not_served(request.opcode)
            if request.opcode in LOCAL and not request.principal.is_local:
                raise not_local()
            allow_operation(request.principal, row.operation, clock.now())
            if row.needs_store:
                self._check_place(request, row.operation)
            if request.flags and row.operation.work in _WRITES:
                self._check_durability(request)
            if row.needs_operation_id and not request.operation_id:
                raise Refusal(Status.BAD_REQUEST, "an operation id is needed so that it is safe to send twice")
            request.executed = row.executed
            body = row.handler(request, decode_body(row.operation.request, request.body))
        except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
            self._failures.answer(request, error)
            return
        if body is not None:
            request.succeed(body)

    def _check_place(self, request: Request, operation: Operation) -> None:
        if not request.principal.partition and operation.work is not Work.ADMINISTER:
            raise Refusal(Status.DENIED, "an operator has no partition, and so no keys")
        if operation.work is not Work.ADMINISTER and self._promotion.standby:
            # Proxies do not draw it; but no client may depend on that. Who may be both is an operator here.
            raise Refusal(Status.NOT_CURRENT, "this node stands by for disaster recovery", not_executed=True)
        if self._follower.current:
            return
        request.stale = True
        if request.opcode == Opcode.CREATE_BACKUP and self._promotion.fenced:
            return  # What only the side has that was left behind can be read from it.
        if operation.work in _WRITES:
            text = HALTED if self._follower.is_halted else "this node cannot reach its store"
            raise Refusal(Status.STORE_UNAVAILABLE, text, not_executed=True)
        if not self._follower.usable:
            raise Refusal(Status.NOT_CURRENT, "this node cannot read its store", not_executed=True)


def _not_served(opcode: int) -> Refusal:
    if opcode == Opcode.UNSEAL:
        return share_over_the_network()
    return Refusal(Status.UNKNOWN_OPERATION, f"this node has no operation {opcode:#06x}")
