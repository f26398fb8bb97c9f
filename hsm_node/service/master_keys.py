"""Rotation of the master key: MASTER_KEY_STATUS, ROTATE_MASTER_KEY, and what a node does of its own accord for it.

Theory. A node says in the store which master keys it holds. ROTATE_MASTER_KEY looks whether every node of the cluster
holds the next one, and puts the store's check record under that, in one transaction with a look at those very rows.
From then on no node that holds the old key alone can start. The other nodes look at the check record every INTERVAL_S
and follow; what they seal meanwhile under the old master key every node can open, and `Rewrapping` comes by later. A
node says that it seals under the new one behind all that it has sealed under the old, in the one queue of its store's
thread: so once all have said so, and nothing is left, nothing comes after it, and the rotation is settled.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from hsm_daemon import clock, logs
from hsm_daemon.errors import StartError
from hsm_node.core.envelopes import Reason
from hsm_node.core.keyring import MASTER_KEY_VERSION, Keyring
from hsm_node.core.master_keys import (
    MasterKeysRecord,
    behind,
    comes_before,
    is_settled,
    lacking,
    seal_master_keys,
)
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.master_key_rows import MasterKeyRows
from hsm_node.service.own_row import DEADLINE_S, INTERVAL_S, OwnRow, Place
from hsm_node.service.request import Request
from hsm_node.service.rewrapping import Rewrapping
from hsm_node.store.base import Store, StoreError
from hsm_node.work.pool import Pool
from hsm_wire.administration import MasterKeyStatus, NodeMasterKeys, Report
from hsm_wire.messages import Empty, encode_body
from hsm_wire.statuses import Status

MAX_TRIES: Final = 8
"""Attempts of one rotation against nodes that say something new meanwhile."""

_DEVICES: Final = "beside a node whose master key is in a device it is not rotated (docs/master-key.md)"
"""No node knows where the others have theirs."""

_log = logs.logger("hsm_node.master_key")


class MasterKeys:
    """One node's part in a rotation. `start` before it serves, then `sweep` on the loop."""

    def __init__(
        self,
        node: str,
        nodes: Callable[[], Collection[str]],
        follower: Follower,
        rows: MasterKeyRows,
        keyring: Keyring,
        store: Store,
        writer: Pool,
        rewrapping: Rewrapping,
        failures: Failures,
    ) -> None:
        self._node = node
        self._nodes = nodes
        self._follower = follower
        self._rows = rows
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._rewrapping = rewrapping
        self._failures = failures
        self._row = OwnRow(node, keyring.master_keys_name, rows, follower, store, _fails)
        self._next_look_s = 0.0

    @property
    def settled(self) -> bool:
        """Whether all rows are under the master key in use, and all nodes seal under that."""
        fingerprint = self._keyring.fingerprint()
        if self._rewrapping.left or not self._follower.current:
            return False
        return not behind(self._nodes(), self._rows.said, fingerprint)

    # Of its own accord

    def start(self) -> None:
        """Say what this node holds, before it serves.

        Raises:
            StartError: the store needs a master key that this node does not hold.
        """
        try:
            self._check_rows()
            row = None if self._store.fenced else self._to_say()
            if row is not None:
                stored = self._row.put(*row)
                if stored is not None:
                    self._follower.take_any(stored)
            version = self._store.master_key_version(self._keyring)
        except StoreError as error:
            raise StartError(f"the store did not take what this node says of its master keys ({error})") from None
        if not version:  # It was rotated a moment ago, before this node said that it lacks the new one.
            raise StartError(
                "the store is under a newer master key than those of this node; set [keystore] master_key to it"
            )
        if version > self._keyring.version:
            self._use(version)

    def sweep(self) -> None:
        """Follow the check record, and say what has changed here."""
        if self._row.busy or not (self._keyring.several or self._rows.held):
            return
        now = clock.monotonic()
        if now >= self._next_look_s or self._follower.leftovers.newer:
            self._next_look_s = now + INTERVAL_S
            self._row.begin(self._look(), "master keys")
        self._rewrapping.sweep()

    async def _look(self) -> str:
        deadline = clock.monotonic() + DEADLINE_S
        version = await self._writer.run(deadline, lambda: self._store.master_key_version(self._keyring))
        if version > self._keyring.version:
            self._use(version)
        self._follower.leftovers.newer = False
        row = self._to_say() if self._follower.current else None
        if row is not None:
            stored = await self._writer.run(clock.monotonic() + DEADLINE_S, partial(self._row.put, *row))
            if stored is not None:
                self._follower.take_any(stored)
        return "" if version else "the store is under a master key that this node does not hold"

    def _use(self, version: int) -> None:
        self._follower.use_master_key(version)
        fingerprint = self._keyring.fingerprint().hex()
        left = self._rewrapping.left
        logs.event(_log, "info", "another master key is in use", version=version, fingerprint=fingerprint, left=left)

    def _check_rows(self) -> None:
        """Refuse to start with keys that cannot open what all others can, or in the wrong order."""
        refused = self._follower.refused.values()
        unknown = sum(row.reason is Reason.CHANGED for row in refused)
        once_rotated = self._keyring.version > MASTER_KEY_VERSION and not self._keyring.several
        if unknown and once_rotated and not is_settled(self._rows.said, self._keyring.fingerprint()):
            raise StartError(
                f"{unknown} records do not open under this master key, and the rotation to it has not ended: set "
                "[keystore] master_key to the old one and next_master_key to this one, until `hsmctl master-key "
                "status` says that it is settled"
            )
        newest = self._keyring.fingerprints[-1]
        if comes_before(self._rows.said, newest, self._keyring.fingerprint()):
            raise StartError("[keystore] next_master_key is older than master_key: exchange them")

    def _to_say(self) -> tuple[bytes, Place] | None:
        """Return the row of what this node has to say, and where it goes; None where it has been said.

        While nobody has two master keys, there is nothing to say.
        """
        if not (self._keyring.several or self._rows.held):
            return None
        before, place = self._row.held, self._row.place
        fingerprint = self._keyring.fingerprint()
        was_settled = before is not None and before.settled and before.used == fingerprint
        after = MasterKeysRecord(
            self._store.cluster_id,
            self._node,
            place.order,
            self._store.epoch,
            self._keyring.fingerprints,
            fingerprint,
            was_settled or self.settled,
        )
        if before is not None and not self._row.refused and _same(before, after):
            return None
        return seal_master_keys(after, self._keyring), place

    # For operators

    def status(self, _request: Request, _body: Empty) -> bytes | None:
        """MASTER_KEY_STATUS."""
        keyring, said = self._keyring, self._rows.said
        newest = keyring.versions[-1]
        following = keyring.fingerprint(newest).hex() if newest > keyring.version else ""
        nodes = [
            NodeMasterKeys(node, [each.hex() for each in said[node].held], said[node].used.hex())
            if node in said
            else NodeMasterKeys(node, [], "")
            for node in self._nodes()
        ]
        return encode_body(
            MasterKeyStatus(
                node=self._node,
                version=keyring.version,
                fingerprint=keyring.fingerprint().hex(),
                next_fingerprint=following,
                records=len(self._follower.ledger),
                left=self._rewrapping.left,
                refused=len(self._follower.refused),
                settled=self.settled,
                nodes=nodes,
            )
        )

    def rotate(self, request: Request, _body: Empty) -> bytes | None:
        """ROTATE_MASTER_KEY."""
        return answer_later(request, self._rotate(request), self._failures)

    async def _rotate(self, request: Request) -> tuple[Status, bytes]:
        keyring = self._keyring
        newest = keyring.versions[-1]
        if keyring.remote:
            raise Refusal(
                Status.BAD_REQUEST,
                f"the master key of {self._node} is in a device, which brings no key under another one, so it is not "
                "rotated; where somebody may know it, make new keys in a cluster with another master key: "
                "docs/backends.md, docs/ceremony.md",
            )
        if newest > keyring.version:
            await self._take_into_use(request, newest)
        elif not keyring.several and self._rewrapping.left == 0:
            raise Refusal(
                Status.BAD_REQUEST,
                f"{self._node} holds no next master key; give every node [keystore] next_master_key and kill -HUP it; "
                f"{_DEVICES}",
            )
        version, left = keyring.version, self._rewrapping.left
        lines = [f"master key version {version} ({keyring.fingerprint().hex()}) is in use"]
        if left:
            lines.append(f"{left} records are under the old one; they are put under this one in the background")
        return Status.OK, encode_body(Report(True, lines))

    async def _take_into_use(self, request: Request, version: int) -> None:
        fingerprint = self._keyring.fingerprint(version)
        for _ in range(MAX_TRIES):
            missing = lacking(self._nodes(), self._rows.said, fingerprint)
            if missing:
                raise Refusal(
                    Status.BAD_REQUEST,
                    f"{', '.join(missing)} cannot open what is under the next master key {fingerprint.hex()}; give it "
                    f"to every node as [keystore] next_master_key, then kill -HUP or start it; {_DEVICES}",
                )
            seen = {self._keyring.master_keys_name(node): entry.revision for node, entry in self._rows.held.items()}
            reseal = partial(self._store.reseal, self._keyring, version, seen)
            if await self._writer.run(request.deadline, reseal, asker=request):
                break
            self._follower.follow()
        else:
            raise Refusal(Status.OVERLOADED, "the nodes say something new all the time", not_executed=True)
        if version > self._keyring.version:
            self._use(version)
        self._rewrapping.begin()
        self._next_look_s = 0.0  # to say so at once


def _fails(reason: str) -> None:
    logs.event(_log, "error", "the master keys cannot be looked after", reason=reason)


def _same(before: MasterKeysRecord, after: MasterKeysRecord) -> bool:
    return (before.held, before.used, before.settled) == (after.held, after.used, after.settled)
