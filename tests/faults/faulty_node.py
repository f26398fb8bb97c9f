"""A node that speaks the real protocol and fails as it is told: the class. `fake_node.py` is the program around it."""

import asyncio
import heapq
import os
import random
import socket
import ssl
from pathlib import Path
from typing import Any

import msgspec
from execution_log import Journal
from fault_listener import FaultListener, reset
from fault_queue import CONNECT, PARTIAL, Fault, FaultError, FaultQueue, Occasion
from node_actions import ACTIONS, FOR_CONNECT, FOR_PARTIAL, GAP_S, NEEDS_A_PROCESS
from node_answers import Answers
from node_connection import NodeConnection

HANDSHAKE_TIMEOUT_S = 10.0
SHUTDOWN_TIMEOUT_S = 0.2  # a peer that was cut off in mid-answer says no goodbye


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """What the node says of itself, and how long its work takes. May change at any time."""

    window: int = 256
    sessions: int = 4
    state: str = "up"
    administrative_state: str = "ready"
    store_contact: str = "current"
    cluster_id: str = "00" * 16
    """Hex."""
    epoch: int = 1
    applied_revision: int = 1
    generating: int = 0
    frozen: bool = False
    """PONG's completed count stands still, whatever is answered."""
    stale_answers: bool = False
    """Every RESPONSE carries the flag STALE."""
    service_ms: float = 0.0
    """Time that a session needs for one request; 0 = none at all, without sessions."""
    slower: float = 1.0
    """Factor of service_ms."""
    max_frame_bytes: int = 1 << 20
    max_in_flight: int = 8192
    software: str = "fake-node"
    configuration_hash: str | None = None
    """None: the same as the peer's HELLO has."""


class FaultyNode:
    """Use `start`, `arm`, `set`, `listener.switch`, `journal.record`, `stop`. All but start and stop are immediate."""

    def __init__(
        self,
        name: str = "node-1",
        cluster: str = "test",
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        journal: Path | None = None,
        seed: int = 0,
        is_process: bool = False,
    ) -> None:
        self.name = name
        self.cluster = cluster
        self.random = random.Random(seed)
        self.settings = Settings()
        self.faults = FaultQueue({action: known.defaults for action, known in ACTIONS.items()})
        self.journal = Journal(name, journal)
        self.connections: dict[int, NodeConnection] = {}
        self.completed = 0
        self._host, self._port, self._tls = host, port, tls
        self._is_process = is_process
        self._listener: FaultListener | None = None
        self._connection_number = 0
        self._sequence = 0
        self._frozen_at = 0
        self._held: list[socket.socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._sessions: list[float] = []
        self._boot("started")

    @property
    def listener(self) -> FaultListener:
        """The listening socket and its faults."""
        assert self._listener is not None, f"{self.name} is not started"
        return self._listener

    @property
    def address(self) -> str:
        """HOST:PORT that it listens on."""
        return self.listener.address

    async def start(self) -> "FaultyNode":
        """Listen on the running loop."""
        self._listener = FaultListener(self._host, self._port, self._accept)
        self._port = self._listener.port
        self._listener.switch("open")
        return self

    async def stop(self) -> None:
        """Reset every connection and give up the port."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.cut()
        for handshake in tuple(self._handshakes):
            handshake.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)
        while self.connections:
            await asyncio.sleep(0)
        self.journal.close()

    def arm(self, *faults: dict[str, Any]) -> None:
        """Append faults as `fault_queue.fault` makes them.

        Raises:
            FaultError: one of them makes no sense.
        """
        for described in faults:
            action = described.get("action")
            if action in NEEDS_A_PROCESS and not self._is_process:
                raise FaultError(f"{action} would end the test itself: start the node as a process")
            match = described.get("match", "any")
            on = match.get("on") if isinstance(match, dict) else match
            if (on == CONNECT and action not in FOR_CONNECT) or (on == PARTIAL and action not in FOR_PARTIAL):
                raise FaultError(f"{action} needs a whole frame: it cannot strike at {on!r}")
            self.faults.arm(described)

    def set(self, **changes: Any) -> None:
        """Change settings, checked."""
        now = {**msgspec.structs.asdict(self.settings), **changes}
        made = msgspec.convert(now, Settings)
        if made.frozen and not self.settings.frozen:
            self._frozen_at = self.completed
        self.settings = made

    def clear(self) -> None:
        """Disarm all faults, go back to the first settings, listen again; connections stay as they are."""
        self.faults.clear()
        self.settings = Settings()
        self.listener.switch("open")

    def cut(self) -> None:
        """Reset every connection."""
        for connection in list(self.connections.values()):
            connection.reset()
        for held in self._held:
            reset(held)
            held.close()
        self._held = []

    def go_away(self) -> None:
        """Say GOAWAY on every connection; each closes when its last answer is out."""
        for connection in list(self.connections.values()):
            connection.go_away()

    def restart(self, down_ms: float = 0) -> None:
        """Do as a process does that was killed and comes back: all connections reset, a new boot id, counts from 0."""
        self.listener.switch("refuse")
        self.cut()
        asyncio.get_running_loop().call_later(down_ms / 1000, self._come_back)

    def crash(self) -> None:
        """End this process at once, without a word to anybody."""
        self.journal.note("ended")
        os._exit(70)

    @property
    def reported_completed(self) -> int:
        """What PONG says."""
        return self._frozen_at if self.settings.frozen else self.completed

    def next_sequence(self) -> int:
        """Number a frame that arrived."""
        self._sequence += 1
        return self._sequence

    def service_delay(self, now: float, factor: float = 1.0) -> float:
        """Take a session for one request; return in how many seconds it is done."""
        service = self.settings.service_ms / 1000 * self.settings.slower * factor
        if not service:
            return 0.0
        while len(self._sessions) > self.settings.sessions:
            heapq.heappop(self._sessions)
        free = heapq.heappop(self._sessions) if len(self._sessions) == self.settings.sessions else now
        done = max(now, free) + service
        heapq.heappush(self._sessions, done)
        return done - now

    @property
    def in_flight(self) -> int:
        """Requests that arrived and have no answer yet."""
        return sum(connection.unanswered for connection in self.connections.values())

    def _boot(self, event: str) -> None:
        self.boot_id = os.urandom(16)
        self.answers = Answers(self.name, self.cluster)
        self.completed = 0
        self._sessions = []
        self.journal.note(event, boot_id=self.boot_id.hex())

    def _come_back(self) -> None:
        if self._listener is not None:
            self._boot("booted")
            self._listener.switch("open")

    def _accept(self, accepted: socket.socket) -> None:
        self._connection_number += 1
        number = self._connection_number
        self.journal.note("connected", connection=number)
        fault = self.faults.maybe_take(Occasion(frozenset({CONNECT}), number))
        if fault is None or fault.action == "pass":
            self._serve(accepted, number)
        else:
            self._fail_at_connect(accepted, number, fault)

    def _fail_at_connect(self, accepted: socket.socket, number: int, fault: Fault) -> None:
        if fault.action == "latency":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.options["ms"] / 1000, self._serve, accepted, number)
        elif fault.action in ("silence", "drop", "stop_reading"):
            self._held.append(accepted)
        else:  # A moment later: the peer has seen its connect succeed by then.
            asyncio.get_running_loop().call_later(GAP_S, self._end_at_connect, accepted, number, fault.action == "rst")

    def _end_at_connect(self, accepted: socket.socket, number: int, with_reset: bool) -> None:
        if with_reset:
            reset(accepted)
        accepted.close()
        self.journal.note("closed", connection=number)

    def _serve(self, accepted: socket.socket, number: int) -> None:
        handshake = asyncio.get_running_loop().create_task(self._shake_hands(accepted, number))
        self._handshakes.add(handshake)
        handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, accepted: socket.socket, number: int) -> None:
        loop = asyncio.get_running_loop()
        timeout = None if self._tls is None else HANDSHAKE_TIMEOUT_S
        try:
            await loop.connect_accepted_socket(
                lambda: NodeConnection(self, number, accepted),
                accepted,
                ssl=self._tls,
                ssl_handshake_timeout=timeout,
                ssl_shutdown_timeout=None if self._tls is None else SHUTDOWN_TIMEOUT_S,
            )
        except (OSError, asyncio.CancelledError):  # TLS failures are OSErrors: the peer left or is a stranger.
            accepted.close()
            if number not in self.connections:
                self.journal.note("closed", connection=number)
