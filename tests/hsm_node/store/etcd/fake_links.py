"""Members that answer as they are told, without a socket."""

from collections.abc import Callable
from typing import Any

import grpc

from hsm_cluster.address import Address
from hsm_node.store.etcd.messages_pb2 import Header, KeyValue, RangeResponse, StatusResponse, TxnResponse


class FakeRpcError(grpc.RpcError):
    """As gRPC raises it."""

    def __init__(self, code: grpc.StatusCode, details: str = "") -> None:
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details


NO_LEADER = FakeRpcError(grpc.StatusCode.UNAVAILABLE, "etcdserver: no leader")
TOO_LATE = FakeRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")


class FakeLink:
    """A member: `failing` is raised by every call where it is set."""

    def __init__(self, port: int, *, cluster: int = 7, version: str = "3.5.30") -> None:
        self.address = Address("127.0.0.1", port)
        self.header = Header(cluster_id=cluster, revision=10)
        self.version = version
        self.leader = 1
        self.kvs: list[KeyValue] = []
        self.is_learner = False
        self.errors: list[str] = []
        self.failing: Exception | None = None
        self.failing_status: Exception | None = None
        self.asked: list[str] = []
        self.timeouts: list[float] = []
        self.closed = False

    def _answer(self, what: str, error: Exception | None, answer: Callable[[], Any], timeout: float) -> Any:
        self.asked.append(what)
        self.timeouts.append(timeout)
        if self.closed:
            raise ValueError("Cannot invoke RPC on closed channel!")
        if error is not None:
            raise error
        return answer()

    def status(self, _request: Any, timeout: float) -> StatusResponse:
        made = StatusResponse(
            header=self.header,
            version=self.version,
            leader=self.leader,
            is_learner=self.is_learner,
            errors=self.errors,
        )
        return self._answer("status", self.failing_status, lambda: made, timeout)

    def range(self, request: Any, timeout: float, metadata: Any = ()) -> RangeResponse:
        assert request.serializable or ("hasleader", "true") in metadata
        made = RangeResponse(header=self.header, kvs=self.kvs)
        return self._answer("range", self.failing, lambda: made, timeout)

    def txn(self, _request: Any, timeout: float, metadata: Any) -> TxnResponse:
        return self._answer("txn", self.failing, lambda: TxnResponse(header=self.header, succeeded=True), timeout)

    def close(self) -> None:
        self.closed = True
