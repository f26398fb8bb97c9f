"""Open-loop load: signatures at a rate, over many connections, each checked; latency from the intended start."""

import asyncio
import threading
import time
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from fake_keys import is_signed
from heard import HeardConnection, take_not_executed
from history import Answered, History, Sent

from hsm_client import connect
from hsm_client.errors import HsmError
from hsm_client.key_ids import new_operation_id
from hsm_wire.forms import NIL_PARAMETERS
from hsm_wire.mechanisms import CKM_ECDSA_SHA256
from hsm_wire.messages import Sign, SignResult
from hsm_wire.opcodes import Opcode

CONNECT_S = 10.0


class Load:
    """Use as a context manager: the load runs in a thread of its own from `with` to its end."""

    def __init__(
        self,
        client_config: Path,
        *,
        clients: int = 64,
        rate: float = 300.0,
        timeout_s: float = 10.0,
        retry: bool = True,
        key_id: bytes = bytes(16),
        caller: str = "app",
        verify: bool = True,
    ) -> None:
        self.history = History()
        self.clients = clients
        self.rate = rate
        self.latencies: list[tuple[float, float]] = []
        """(intended start, seconds) of each call that ended."""
        self.failed: Counter[str] = Counter()
        self.not_executed = 0
        """Calls of which every answer said so."""
        self._hearing = patch("hsm_client.pool.Connection", HeardConnection)
        self._verify = verify
        self._config = client_config
        self._timeout_s = timeout_s
        self._retry = retry
        self._key_id = key_id
        self._caller = caller
        self._stop = threading.Event()
        self._started = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name=f"load-{caller}", daemon=True)

    def __enter__(self) -> "Load":
        self._hearing.start()
        self._thread.start()
        assert self._started.wait(CONNECT_S), "the load did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(self._timeout_s + CONNECT_S)
        self._hearing.stop()
        assert not self._thread.is_alive(), "the load did not end"
        if self._fault is not None:
            raise self._fault

    @property
    def slowest_s(self) -> float:
        """The slowest call."""
        return max((seconds for _, seconds in self.latencies), default=0.0)

    def percentile(self, share: float, since: float = 0.0, until: float = float("inf")) -> float:
        """Return that share's latency among the calls that were to start in that time, in seconds."""
        found = sorted(seconds for start, seconds in self.latencies if since <= start < until)
        return found[min(len(found) - 1, int(share * len(found)))]

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as error:  # noqa: BLE001 - raised again where the load ends
            self._fault = error
            self._started.set()

    async def _run(self) -> None:
        connections = []
        try:
            for _ in range(self.clients):
                hsm = connect(self._config, timeout_s=self._timeout_s, retry=self._retry, pool_size=1)
                connections.append(hsm)
                await hsm.open()
            self._started.set()
            calls: set[asyncio.Task[None]] = set()
            start = time.monotonic()
            number = 0
            while not self._stop.is_set():
                due = start + number / self.rate
                wait = due - time.monotonic()
                if wait > 0:
                    await asyncio.sleep(wait)
                call = asyncio.get_running_loop().create_task(
                    self._call(connections[number % self.clients], number, max(due, start))
                )
                calls.add(call)
                call.add_done_callback(calls.discard)
                number += 1
            await asyncio.gather(*calls)
        finally:
            await asyncio.gather(*(hsm.close() for hsm in connections))

    async def _call(self, hsm: object, number: int, due: float) -> None:
        data = number.to_bytes(8)
        operation_id = new_operation_id()
        status, verified = 0, None
        self.history.sent.append(Sent(time.monotonic(), operation_id, self._caller))
        try:
            body = Sign(self._key_id, CKM_ECDSA_SHA256, NIL_PARAMETERS, data)
            result = await hsm.request(Opcode.SIGN, body, SignResult, operation_id=operation_id)  # type: ignore[attr-defined]
            verified = is_signed(result.signature, data) if self._verify else None
        except HsmError as error:
            status = int(error.status)
            self.failed[error.status_name] += 1
        now = time.monotonic()
        not_executed = take_not_executed(operation_id)
        self.not_executed += not_executed
        self.latencies.append((due, now - due))
        self.history.answered.append(Answered(now, operation_id, self._caller, status, verified, not_executed))
