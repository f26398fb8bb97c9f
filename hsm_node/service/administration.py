"""CLUSTER_STATE and SET_NODE_STATE: what the operator wants of each node."""

from collections.abc import Callable, Collection, Coroutine
from functools import partial
from typing import Any, Final

from hsm_daemon.tasks import spawn
from hsm_node.core.keyring import Keyring
from hsm_node.core.node_states import READY, STATES, next_node_state, seal_node_state
from hsm_node.core.refusal import Refusal
from hsm_node.service.failures import Failures
from hsm_node.service.follower import Follower
from hsm_node.service.node_state_rows import NodeStateRows
from hsm_node.service.request import Request
from hsm_node.store.base import Row, Store
from hsm_node.work.pool import Pool
from hsm_wire.administration import ClusterState, NodeState, SetNodeState
from hsm_wire.messages import Empty, encode_body
from hsm_wire.statuses import Status

MAX_CHANGE_TRIES: Final = 8
"""Attempts of one change against changes of the same node's state through other nodes."""


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
        failures: Failures,
    ) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._follower = follower
        self._states = states
        self._keyring = keyring
        self._store = store
        self._writer = writer
        self._failures = failures

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
        spawn(self._finish(request, self._set(request, body)), f"operation {request.operation_id:016x}")
        return None

    async def _finish(self, request: Request, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - each request has one answer, whatever happens
            self._failures.answer(request, error)
        else:
            request.succeed(self._answer())

    async def _set(self, request: Request, body: SetNodeState) -> None:
        name = self._keyring.node_name(body.node)
        mark = self._keyring.change_mark(request.operation_id, request.opcode, encode_body(body))
        for _ in range(MAX_CHANGE_TRIES):
            found = self._states.held.get(body.node)
            before = None if found is None else found.record
            if before is not None and mark in before.changes:
                return
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
            if await self._write(request, name, revision, seal_node_state(after, self._keyring)):
                return
            self._follower.follow()
        raise Refusal(Status.OVERLOADED, "the node's state is being changed by too many at once", not_executed=True)

    async def _write(self, request: Request, name: bytes, revision: int, sealed: bytes) -> bool:
        """Store a state over that revision (0: there is none yet); False where another change was faster."""
        row: Row | None
        if revision:
            written = partial(self._store.change, name, revision, sealed)
            row = await self._writer.run(request.deadline, written, asker=request)
        else:
            row = await self._writer.run(request.deadline, partial(self._store.create, name, sealed), asker=request)
        if row is None:
            return False
        self._follower.take_any(row)
        return row.data == sealed

    def _answer(self) -> bytes:
        epoch = self._store.epoch
        states = [NodeState(node, self.state_of(node), epoch) for node in self._nodes()]
        return encode_body(ClusterState(self._cluster, epoch, states))
