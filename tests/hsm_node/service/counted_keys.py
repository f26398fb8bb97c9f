"""What the tests of counted keys share: keys, their uses, a store that fails, and records as a test needs them."""

import math
import os
from typing import Any

from hsm_node.core.records import rewritten_record
from hsm_node.core.use_limits import GCM_ENCRYPTIONS
from hsm_node.store.base import StoreError
from hsm_wire import mechanisms as ckm
from hsm_wire.messages import NIL_PARAMETERS as NIL
from hsm_wire.messages import Encrypt, GenerateKey, Policy, Sign
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

PARTITION = 1


async def new_key(client: Any, key_type: str, policy: Policy | None = None, usage: int = 0) -> bytes:
    """Make a key, return its id."""
    key = os.urandom(16)
    answer = await client.call(Opcode.GENERATE_KEY, GenerateKey(key, key_type, usage=usage, policy=policy or Policy()))
    assert answer.status == Status.OK
    return key


async def sign(client: Any, key: bytes, data: bytes, operation_id: int) -> Any:
    """Sign with a P-256 key."""
    return await client.call(
        Opcode.SIGN, Sign(key, ckm.CKM_ECDSA_SHA256, NIL, data), operation_id=operation_id, request_id=operation_id or 9
    )


async def encrypt(client: Any, key: bytes, data: bytes = b"data", **fields: int) -> Any:
    """Encrypt with AES-GCM."""
    return await client.call(Opcode.ENCRYPT, Encrypt(key, ckm.CKM_AES_GCM, NIL, data), **fields)


def record_of(node: Any, key: bytes) -> Any:
    """Return the key's record as the store has it."""
    node.keystore.follower.follow()
    return node.keystore.table.get(PARTITION, key).record


async def leave(node: Any, key: bytes, encryptions: int) -> None:
    """Have the key's record say that all but so many encryptions were taken."""
    leased = GCM_ENCRYPTIONS - encryptions
    await node.keystore.rewriter.rewrite(
        (PARTITION, key), math.inf, lambda now: rewritten_record(now, gcm_leased=leased)
    )


class FailingStore:
    """Takes a node's writings over; they fail while it says so."""

    def __init__(self, node: Any) -> None:
        self.failing = False
        self.written = 0
        self._change = node.store.change
        node.store.change = self.change

    def change(self, *arguments: Any) -> Any:
        """Write, or not."""
        if self.failing:
            raise StoreError("it is away")
        self.written += 1
        return self._change(*arguments)
