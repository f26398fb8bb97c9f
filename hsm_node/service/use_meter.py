"""What a use of a key costs beside the work: a count in the store, an encryption out of a block, a token of a rate."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from hsm_daemon import clock
from hsm_node.backends.base import LONG_DATA_BYTES
from hsm_node.core.authorize import allow_use, live_record
from hsm_node.core.key_table import KeyTable
from hsm_node.core.keyring import Keyring
from hsm_node.core.limits import Limits
from hsm_node.core.padding_rate import PaddingRate
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_node.core.use_limits import is_counted
from hsm_node.service.encryption_leases import EncryptionLeases
from hsm_node.service.key_rewriter import KeyRewriter, not_counted
from hsm_node.service.request import Request
from hsm_node.service.use_counter import UseCounter
from hsm_node.work.pool import Pool
from hsm_wire.mechanisms import CKM_AES_CBC_PAD, CKM_AES_GCM, Mechanism
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

_ENCRYPT, _DECRYPT = Usage.ENCRYPT, Usage.DECRYPT

Payment = Coroutine[Any, Any, None]
"""To be awaited before the key works; raises Refusal where it must not."""


class UseMeter:
    """Asked before each use of a key, when everything else has allowed it."""

    def __init__(self, table: KeyTable, keyring: Keyring, rewriter: KeyRewriter, hasher: Pool, limits: Limits) -> None:
        """Measure nothing yet.

        Args:
            table: of the keys.
            keyring: makes the marks of uses.
            rewriter: writes what is counted.
            hasher: threads for marks of long requests.
            limits: of this node.
        """
        self._table = table
        self._keyring = keyring
        self._hasher = hasher
        self._most_waiting = limits.waiting_uses
        self._patience_s = limits.counting_s
        self.counter = UseCounter(rewriter)
        self.encryptions = EncryptionLeases(table, rewriter)
        self.paddings = PaddingRate(limits.padding_decryptions_per_s, limits.padding_decryptions_burst)
        self.waiting = 0
        """Uses that wait for the store."""

    def before_use(self, request: Request, record: Record, mechanism: Mechanism, usage: Usage) -> Payment | None:
        """Return what is to be awaited before this use; None where it is paid for.

        Raises:
            Refusal: the key must not work now.
        """
        number, leased = mechanism.number, True
        if number == CKM_AES_GCM and usage is _ENCRYPT:
            leased = self.encryptions.take(record)
        elif number == CKM_AES_CBC_PAD and usage is _DECRYPT:
            self.paddings.take((record.partition, record.key_id), clock.monotonic())
        counted = record.policy.max_uses > 0 and is_counted(record, int(usage))
        if leased and not counted:
            return None
        allowed = partial(_allow, mechanism, usage)
        return self._paid(request, record, allowed, leased=leased, counted=counted)

    async def before_leaving(self, request: Request, record: Record, allowed: Callable[[Record], None]) -> None:
        """Count that the key itself is taken out, where its uses count.

        Args:
            request: that takes it.
            record: of the key.
            allowed: raises Refusal where the key, as it is when that is counted, must not leave.
        """
        if record.policy.max_uses:
            await self._paid(request, record, allowed, leased=True, counted=True)

    def sweep(self) -> None:
        """Forget what is not needed any more."""
        self.encryptions.sweep()
        self.paddings.sweep(clock.monotonic())

    async def _paid(
        self, request: Request, record: Record, allowed: Callable[[Record], None], *, leased: bool, counted: bool
    ) -> None:
        if self.waiting >= self._most_waiting:
            raise Refusal(Status.OVERLOADED, "too many uses wait to be counted; wait a little", not_executed=True)
        self.waiting += 1
        left_s = request.deadline - clock.monotonic()
        try:
            async with asyncio.timeout(min(left_s, self._patience_s)):
                if not leased:
                    await self.encryptions.wait(record)
                    allowed(live_record(self._table.get(record.partition, record.key_id)))  # changed meanwhile, perhaps
                if counted:
                    mark = await self._mark(request)
                    await self.counter.count((record.partition, record.key_id), mark, request.deadline, allowed)
        except TimeoutError:
            raise _late(out_of_time=left_s <= self._patience_s) from None
        finally:
            self.waiting -= 1

    async def _mark(self, request: Request) -> bytes:
        if not request.operation_id:
            raise Refusal(Status.BAD_REQUEST, "the key's uses are counted: each needs an operation id of its own")
        mark = partial(self._keyring.change_mark, request.operation_id, request.opcode, request.body)
        if len(request.body) < LONG_DATA_BYTES:
            return mark()
        return await self._hasher.run(request.deadline, mark, measured=False, asker=request)


def _late(*, out_of_time: bool) -> Refusal:
    if out_of_time:
        return Refusal(Status.TIMEOUT, "the time ran out while the use waited to be counted", not_executed=True)
    return not_counted()


def _allow(mechanism: Mechanism, usage: Usage, record: Record) -> None:
    allow_use(record, mechanism, usage, clock.now())
