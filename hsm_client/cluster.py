"""Requests to one cluster: sent, sent again where that is useful, answered or failed by the deadline."""

import asyncio
import logging
from random import Random
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec

from hsm_client import retry
from hsm_client.config import ClientConfig, ProxyAddress
from hsm_client.connection import Connection, ConnectionFull, ConnectionLost
from hsm_client.durabilities import Durability, durability_flag
from hsm_client.errors import HsmError, make_error
from hsm_client.key_ids import new_operation_id
from hsm_client.pool import Pool
from hsm_client.slow_requests import SlowRequests
from hsm_client.unconfirmed import UNCONFIRMED, unconfirmed_text
from hsm_wire import limits
from hsm_wire import messages as m
from hsm_wire import objects as o
from hsm_wire.administration import ClusterState
from hsm_wire.errors import BodyError
from hsm_wire.forms import NIL
from hsm_wire.frames import Frame
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status, StatusClass, status_class

DEFAULT_TIMEOUT_S: Final = 10.0
"""How long an operation may take where the caller says nothing; making a key has more (hsm_wire.operations)."""
CONNECT_S: Final = 3.0
"""How long `open` tries before it says that the cluster cannot be reached; a request has its own deadline."""
_log = logging.getLogger("hsm_client")
_T = TypeVar("_T", bound=msgspec.Struct)


class Cluster:
    """Connections and requests. An async context manager; belongs to one event loop."""

    def __init__(self, config: ClientConfig, *, timeout_s: float | None, retry: bool, pool_size: int) -> None:
        if pool_size < 1 or (timeout_s is not None and timeout_s <= 0):
            raise ValueError("pool_size and timeout_s are above 0")
        self.timeout_s = DEFAULT_TIMEOUT_S if timeout_s is None else timeout_s
        self._chosen_s = timeout_s
        self._retry = retry
        self._rng = Random()
        self._pool = Pool(config, pool_size, self._rng, patient=retry)
        self._slow = SlowRequests(config.slow_request_s)

    async def open(self) -> Self:
        """Connect.

        Raises:
            ClusterUnreachable: no proxy could be reached.
        """
        try:
            await self.opened()
        except BaseException:
            await self.close()
            raise
        return self

    def start(self) -> None:
        """Begin to connect and wait for nothing: each request then waits until its own deadline."""
        self._pool.start()

    async def opened(self) -> None:
        """Wait for the first connection, as `open` does, but go on trying where none came up in time."""
        self.start()
        await self._pool.opened(min(CONNECT_S, self.timeout_s))

    @property
    def was_open(self) -> bool:
        """Whether there ever was a connection."""
        return self._pool.was_open

    async def close(self) -> None:
        """Close all connections; requests in flight end with an error."""
        await self._pool.close()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def file_numbers(self) -> list[int]:
        """Return the sockets' file descriptors (what a forked child must let go)."""
        return self._pool.file_numbers()

    # ---- one request ------------------------------------------------------------------------------------------

    async def request(
        self,
        opcode: int,
        body: msgspec.Struct,
        result_form: type[_T],
        *,
        timeout_s: float | None = None,
        operation_id: int | None = None,
        durability: Durability | None = None,
    ) -> _T:
        """Send a request, again where that is useful, and return its answer's body.

        Raises:
            HsmError: the subclass of the answer's status.
        """
        flags = durability_flag(durability)
        operation = operation_id or new_operation_id()
        if timeout_s is None:
            timeout_s = _usual_s(opcode) if self._chosen_s is None else self._chosen_s
        loop = asyncio.get_running_loop()
        started = loop.time()
        deadline = started + timeout_s
        tried: list[ProxyAddress] = []
        status = int(Status.CANCELLED)  # as long as nothing else is known
        try:
            frame = await self._exchange(opcode, m.encode_body(body), deadline, operation, tried, flags)
            status = frame.status
            return await self._result(frame, body, result_form, deadline)
        except HsmError as error:
            error.operation_id = operation
            status = error.status or int(Status.UNAVAILABLE)
            raise
        except BodyError as error:
            raise make_error(Status.DEVICE_ERROR, f"the cluster's answer is malformed: {error}", operation) from None
        finally:
            seconds = loop.time() - started
            if seconds >= self._slow.slow_s:
                self._slow.note(operation, opcode, status, seconds, tried, started + seconds)

    async def _exchange(
        self, opcode: int, body: bytes, deadline: float, operation_id: int, tried: list[ProxyAddress], flags: int = 0
    ) -> Frame:
        """Send until there is an answer that stands, or the deadline has come; note in `tried` where it was sent."""
        loop = asyncio.get_running_loop()
        attempt = 0
        avoid: Connection | None = None
        failure: HsmError | None = None
        while True:
            left_s = deadline - loop.time()
            if left_s <= 0:
                raise failure or make_error(Status.TIMEOUT, "the request's time ran out; send again with more time")
            connection = await self._pool.acquire(deadline, avoid)
            retry_after_ms, lost = 0, False
            try:
                left_s = max(deadline - loop.time(), 0.001)
                future = connection.send(opcode, body, timeout_s=left_s, operation_id=operation_id, flags=flags)
                tried.append(connection.address)
                frame = await connection.answer(future)
            except ConnectionFull:
                continue
            except ConnectionLost as error:
                lost = True
                failure = make_error(Status.UNAVAILABLE, f"the connection to proxy {connection.address} broke: {error}")
            else:
                if not retry.may_resend(frame.status):
                    return frame
                failure, retry_after_ms = _failure(frame)
            if not self._retry:
                raise failure
            attempt += 1
            avoid = connection
            # A first loss is no sign of overload: the request moves to another connection at once.
            wait_s = 0.0 if lost and attempt == 1 else retry.resend_wait_s(attempt, retry_after_ms, self._rng)
            if loop.time() + wait_s >= deadline:
                raise failure
            _log.debug("operation_id=%016x is sent again in %.3f s: %s", operation_id, wait_s, failure.detail)
            await asyncio.sleep(wait_s)

    async def _result(self, frame: Frame, body: msgspec.Struct, form: type[_T], deadline: float) -> _T:
        if status_class(frame.status) != StatusClass.OK:
            raise _failure(frame)[0]
        if frame.status not in UNCONFIRMED:
            return m.decode_body(form, frame.body)
        done = m.decode_body(m.Unconfirmed, frame.body)
        _log.warning("%s", unconfirmed_text(frame.status, done.unconfirmed))
        return await self._changed(body, form, deadline) if done.result == NIL else m.decode_body(form, done.result)

    async def _changed(self, body: msgspec.Struct, form: type[_T], deadline: float) -> _T:
        """Ask for what the answer would have said, had all confirmed it: it does not say."""
        if form is m.Empty:
            return m.decode_body(form, m.EMPTY_BODY)
        key_id = getattr(body, "new_key_id", None) or getattr(body, "key_id", None)
        if form is m.KeyInfo and isinstance(key_id, bytes):
            return await self._read(Opcode.DESCRIBE_KEY, m.DescribeKey(key_id), form, deadline)
        object_id = getattr(body, "object_id", None)
        if form is o.ObjectInfo and isinstance(object_id, bytes):
            read = await self._read(Opcode.READ_OBJECT, o.ReadObject(object_id), o.ReadObjectResult, deadline)
            info: msgspec.Struct = read.info
            assert isinstance(info, form)  # it is what `form` is
            return info
        if form is ClusterState:
            return await self._read(Opcode.CLUSTER_STATE, m.Empty(), form, deadline)
        raise BodyError(f"no {form.__name__} in an answer that only says who has not confirmed")

    async def _read(self, opcode: int, body: msgspec.Struct, form: type[_T], deadline: float) -> _T:
        frame = await self._exchange(opcode, m.encode_body(body), deadline, new_operation_id(), [])
        return await self._result(frame, body, form, deadline)


def _usual_s(opcode: int) -> float:
    """Return how long that operation may take where nobody says: the default, or more where the operation needs it."""
    row = OPERATIONS.get(opcode)
    default_ms = row.default_timeout_ms if row is not None else 0
    return max(DEFAULT_TIMEOUT_S, default_ms / 1000 if default_ms > limits.DEFAULT_TIMEOUT_MS else 0.0)


def _failure(frame: Frame) -> tuple[HsmError, int]:
    try:
        failure = m.decode_body(m.Failure, frame.body)
    except BodyError:
        failure = m.Failure("")
    error = make_error(frame.status, failure.detail, frame.operation_id)
    error.retry_after_s = failure.retry_after_ms / 1000
    return error, failure.retry_after_ms
