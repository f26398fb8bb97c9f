"""CLUSTER_STATE, SET_NODE_STATE and REMOVE_NODE: what the operator wants of each node."""

import threading
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from hsm_daemon import logs
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import READY, STATES, next_node_state, seal_node_state
from hsm_node.core.refusal import Refusal
from hsm_node.service.confirmations import Confirmations
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.later import answer_later
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.service.request import Request
from hsm_node.store.base import Removal, Row, Store
from hsm_node.work.pool import Pool
from hsm_wire.administration import ClusterState, NodeState, RemovedNode, RemoveNode, SetNodeState
from hsm_wire.messages import Empty, encode_body
from hsm_wire.statuses import Status

MAX_CHANGE_TRIES: Final = 8
"""Attempts of one change against changes of the same node's state through other nodes."""
REMOVING_RETRY_MS: Final = 1_000
"""For who comes while another node is being removed: that takes up to three seconds."""

_log = logs.logger("hsm_node.administration")


class Administration:
    """Handlers of the operators' operations."""

    def __init__(
        self,
        cluster: str,
        nodes: Callable[[], Collection[str]],
        follower: Follower,
        states: NodeStateRows,
        keyring: Keyring,
        store: Store,
        writer: Pool,
        confirmations: Confirmations,
        failures: Failures,
    ) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._follower = follower
        self._states = states
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._confirmations = confirmations
        self._failures = failures
        self._removing = threading.Lock()

    def state_of(self, node: str) -> str:
        """Return what the operator wants of a node."""
        found = self._states.held.get(node)
        return READY if found is None else found.record.state

    def cluster_state(self, _request: Request, _body: Empty) -> bytes | None:
        """CLUSTER_STATE."""
        return self._answer()

    def set_node_state(self, request: Request, body: SetNodeState) -> bytes | None:
        """SET_NODE_STATE."""
        if body.node not in self._nodes():
            raise Refusal(Status.BAD_REQUEST, f"there is no node {body.node!r}; there are {', '.join(self._nodes())}")
        if body.administrative_state not in STATES:
            raise Refusal(Status.BAD_REQUEST, f"a node's state is one of {', '.join(STATES)}")
        return answer_later(request, self._confirmed(request, body), self._failures)

    def remove_node(self, request: Request, body: RemoveNode) -> bytes | None:
        """REMOVE_NODE."""
        if body.node in self._nodes():
            text = f"{body.node} is in cluster.toml; take it out on all hosts and reload, then remove it"
            raise Refusal(Status.BAD_REQUEST, text)
        return answer_later(request, self._removed(request, body.node), self._failures)

    async def _removed(self, request: Request, node: str) -> tuple[Status, bytes]:
        removal = await self._writer.run(request.deadline, partial(self._remove, node), asker=request)
        if removal is Removal.ALIVE:
            raise Refusal(Status.BAD_REQUEST, f"{node} is alive: it follows the store; stop it, then remove it")
        if removal is Removal.REMOVED:
            what = "no change waits for it any more"
            logs.event(_log, "warning", "a node was removed", node=node, by=request.principal.identity, what=what)
        registered = [name for name in self._store.registered if name != node]
        return Status.OK, encode_body(RemovedNode(node, removal is Removal.REMOVED, registered))

    def _remove(self, node: str) -> Removal:
        """In a thread, which waits for the node to confirm; one at a time, for changes need the others."""
        if not self._removing.acquire(blocking=False):
            text = "another node is being removed; send the request again when that has ended"
            raise Refusal(Status.OVERLOADED, text, not_executed=True, retry_after_ms=REMOVING_RETRY_MS)
        try:
            return self._store.remove(node)
        finally:
            self._removing.release()

    async def _confirmed(self, request: Request, body: SetNodeState) -> tuple[Status, bytes]:
        return await self._confirmations.answer(request, await self._set(request, body), self._answer)

    async def _set(self, request: Request, body: SetNodeState) -> int:
        """Return the revision of the row that has what is wanted."""
        name = self._keyring.node_name(body.node)
        mark = self._keyring.change_mark(request.operation_id, request.opcode, encode_body(body))
        for _ in range(MAX_CHANGE_TRIES):
            found = self._states.held.get(body.node)
            before = None if found is None else found.record
            if found is not None and mark in found.record.changes:
                return found.revision
            self._confirmations.check_room()
            # A damaged row is replaced at its own revision, whatever this node knew before.
            refused = self._follower.refused.get(name)
            damaged = 0 if refused is None else refused.revision
            after = next_node_state(
                before,
                self._store.cluster_id,
                self._store.epoch,
                body.node,
                body.administrative_state,
                mark,
                after_version=damaged,
            )
            revision = max(0 if found is None else found.revision, damaged)
            written = await self._write(request, name, revision, seal_node_state(after, self._keyring))
            if written:
                return written
            self._follower.follow()
        raise Refusal(Status.OVERLOADED, "the node's state is being changed by too many at once", not_executed=True)

    async def _write(self, request: Request, name: bytes, revision: int, sealed: bytes) -> int:
        """Store a state over that revision (0: there is none yet); return its own, 0 where another was faster."""
        row: Row | None
        if revision:
            written = partial(self._store.change, name, revision, sealed, waits=True)
            row = await self._writer.run(request.deadline, written, asker=request)
        else:
            row = await self._writer.run(request.deadline, partial(self._store.create, name, sealed), asker=request)
        if row is None:
            return 0
        self._follower.take_any(row)
        return row.revision if row.data == sealed else 0

    def _answer(self) -> bytes:
        epoch = self._store.epoch
        states = [NodeState(node, self.state_of(node), epoch) for node in self._nodes()]
        return encode_body(ClusterState(self._cluster, epoch, states))
