"""A node with keys that stands by, on the test's loop, and ways to do harm to its copy of the store."""

import os
import sqlite3
from collections.abc import Callable
from typing import Any

import msgspec
from promoted_cluster import cluster_of

from hsm_node.core.drills import DrillResult
from hsm_node.store.base import StoreError
from hsm_wire.messages import GenerateKey
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

STANDING_BY = {
    "zurich": ("active", "node-2", 1),
    "geneva": ("active", "node-3", 2),
    "alps": ("disaster-recovery", "node-1", 3),
}
PRODUCTIVE = STANDING_BY | {"zurich": ("active", "node-1", 1), "alps": ("disaster-recovery", "node-2", 3)}
TYPES = ("ec-p256", "aes-256", "hmac-256", "ml-kem-768", "x25519")


async def dr_node(start_node: Callable[..., Any], *types: str) -> Any:
    """Return a node that holds a key of each of these types."""
    node = start_node()
    client = await node.client()
    node.key_ids = [os.urandom(16) for _ in types]
    for key_id, key_type in zip(node.key_ids, types, strict=True):
        assert (await client.call(Opcode.GENERATE_KEY, GenerateKey(key_id, key_type))).status == Status.OK
    node.keystore.configure(cluster_of(node.config.state_dir, STANDING_BY))
    use(node, known_answers=tuple)  # One test tries the real ones.
    return node


async def drilled(node: Any) -> DrillResult:
    result: DrillResult = await node.keystore.drills.command()
    return result


def found(result: DrillResult) -> set[str]:
    return {str(fault.reason) for fault in result.faults}


def texts(result: DrillResult) -> str:
    return "\n".join(fault.text for fault in result.faults)


def in_file(node: Any, statement: str, *values: Any) -> None:
    """Write into the store's file as nobody should: no revision moves, so no node follows it."""
    with sqlite3.connect(node.config.store.path) as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def name_of(node: Any, number: int) -> bytes:
    """Return the store's name of a key."""
    name: bytes = node.keystore.keyring.name(1, node.key_ids[number])
    return name


def damage(node: Any, number: int, data: bytes | None = None) -> None:
    """Change a record's bytes in the copy: the last one, or all."""
    name = name_of(node, number)
    if data is None:
        row = node.store.read(name)
        data = row.data[:-1] + bytes([row.data[-1] ^ 1])
    in_file(node, "UPDATE records SET data = ? WHERE name = ?", data, name)


def use(node: Any, **changes: Any) -> None:
    """Have drills work with other parts."""
    drills = node.keystore.drills
    drills._parts = drills._parts._replace(**changes)


def set_recovery(node: Any, **changes: Any) -> None:
    drills = node.keystore.drills
    drills.settings = msgspec.structs.replace(drills.settings, **changes)


class OddCopy:
    """A copy that is behind, or out."""

    def __init__(self, copy: Any, *, lacks: int = 0, catches_up: int = 0, out: str = "", alone: bool = False) -> None:
        """Lack revisions, for ever or for so many looks; `out`: what cannot be read; `alone`: the rest is lost."""
        self._copy = copy
        self.lacks = lacks
        self._catches_up = catches_up
        self.out = out
        self.alone = alone

    def newest(self) -> int:
        if self.alone:
            raise StoreError("no leader")
        return int(self._copy.newest())

    def revision(self) -> int:
        if self.out == "revision":
            raise StoreError("it is stopped")
        if self._catches_up:
            self._catches_up -= 1
            if not self._catches_up:
                self.lacks = 0
        return int(self._copy.revision()) - self.lacks

    def page(self, after: bytes, revision: int) -> Any:
        if self.out == "page":
            raise StoreError("its disk is broken")
        return self._copy.page(after, revision)

    def master_key_version(self, keyring: Any) -> int:
        if self.out == "key":
            raise StoreError("it has no check record")
        return int(self._copy.master_key_version(keyring))
