"""A simulated node: sessions, a queue, a window, PONG, CHECK, key generation, and every way to misbehave."""

import hashlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from sim_engine import Pipe, ViolationError, Way

from hsm_node.core.window import Window
from hsm_wire import kinds
from hsm_wire.connection import Connection, encode_failure
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import Bind, Check, CheckResult, Goaway, Pong, Unbind, Welcome, decode_body, encode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import LONG
from hsm_wire.states import End
from hsm_wire.statuses import Status

if TYPE_CHECKING:
    from sim_checks import Checks
    from sim_engine import Engine

TOKEN_BYTES = 8
POISON_KEY = b"poison-key-0000!"
_CHECK = int(Opcode.CHECK)
_WELCOME = encode_frame(kinds.WELCOME, encode_body(Welcome(1, 1 << 20, 8192, "sim-node")))


class SimPath:
    """One way to a node, both directions."""

    def __init__(self, node: "SimNode", latency_s: float, jitter_s: float) -> None:
        self.node = node
        self.to_node = Way(node.engine, latency_s, jitter_s)
        self.to_proxy = Way(node.engine, latency_s, jitter_s)

    @property
    def cut(self) -> bool:
        """Whether nothing passes in one of the directions."""
        return bool(self.to_node.cut or self.to_proxy.cut)

    @property
    def cut_since(self) -> float:
        """Since when bytes or their acknowledgements have been lost."""
        return min(self.to_node.cut_since, self.to_proxy.cut_since)


class NodeEnd:
    """The node's end of a connection."""

    __slots__ = ("bound", "connection", "inbox", "jobs", "node", "out")

    def __init__(self, node: "SimNode", out: Pipe) -> None:
        self.node = node
        self.out = out
        self.connection = Connection(End.SERVER, binds=True)
        self.bound: set[int] = set()
        self.jobs: dict[int, Job] = {}
        self.inbox: list[bytes | None] = []
        """What the system holds for a process that does not read."""

    def receive(self, data: bytes | None) -> None:
        """Take bytes of the proxy."""
        self.node.receive(self, data)


class Job:
    """A request at the node."""

    __slots__ = ("deadline", "end", "frame", "running", "token")

    def __init__(self, end: NodeEnd, frame: Frame, deadline: float) -> None:
        self.end = end
        self.frame = frame
        self.deadline = deadline
        self.token = b"" if frame.opcode == _CHECK else frame.raw[-TOKEN_BYTES:]
        self.running = False


class SimNode:
    """One node. Faults set its fields."""

    def __init__(self, engine: "Engine", checks: "Checks", name: str, sessions: int, service_s: float) -> None:
        self.engine = engine
        self.checks = checks
        self.name = name
        self.sessions = sessions
        self.service_s = service_s
        self.paths: list[SimPath] = []
        self.alive = True
        self.hung_since: float | None = None
        self.mute = 0
        """Accepts, reads and never answers."""
        self.blocked_since: float | None = None
        """Answers PING, finishes nothing."""
        self.slow = 1.0
        self.device_error_every = 0
        self.wrong_signature = False
        self.not_current_share = 0.0
        self.window_override: int | None = None
        self.echo_share = 0.0
        """Share of the answers that come twice, and once more under an id that nobody asked with."""
        self.swallow_share = 0.0
        self.administrative = "ready"
        self.stale = 0
        self.leaving = False
        self._served = 0
        self.boot()

    # ---- the process ----------------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Start as a new process."""
        self.booted_at = self.engine.now
        self.boot_id = self.engine.rng.randbytes(16)
        self._public_key = b"\x04" + hashlib.sha512(self.boot_id).digest()
        self._window = Window(self.sessions)
        self.completed = 0
        self.ends: dict[NodeEnd, None] = {}
        self.alive = True
        self.leaving = False
        self.hung_since = None
        self._clear()

    def _clear(self) -> None:
        self._queue: deque[Job] = deque()
        self._busy = 0
        self._generating = 0
        self._held: list[Callable[[], None]] = []
        self._epoch = getattr(self, "_epoch", 0) + 1

    def crash(self) -> None:
        """End at once: every connection is reset."""
        if not self.alive:
            return
        self.engine.note(f"{self.name} crashes")
        self.checks.crashed(self)
        self.alive = False
        self._close_all()
        self._clear()

    def _close_all(self) -> None:
        for end in self.ends:
            end.out.end()
        self.ends.clear()

    def restart(self) -> None:
        """Come back after a crash."""
        if not self.alive:
            self.engine.note(f"{self.name} restarts")
            self.boot()

    def hang(self) -> None:
        """SIGSTOP."""
        if self.alive and self.hung_since is None:
            self.engine.note(f"{self.name} hangs")
            self.hung_since = self.engine.now

    def go_on(self) -> None:
        """SIGCONT: after a stall it drops what it had not read, and every connection."""
        if not self.alive or self.hung_since is None:
            return
        stall_s = self.engine.now - self.hung_since
        self.hung_since = None
        self.engine.note(f"{self.name} goes on")
        if stall_s > 0.5:
            self._close_all()
            self._clear()
            self.stale += 1
            self.engine.after(0.1 + 0.2 * self.engine.rng.random(), self._current)
            return
        self._release()
        for end in list(self.ends):
            inbox, end.inbox = end.inbox, []
            for data in inbox:
                self.receive(end, data)

    def _current(self) -> None:
        self.stale -= 1

    def block(self) -> None:
        """Answer PING and finish nothing."""
        if self.blocked_since is None:
            self.blocked_since = self.engine.now

    def unblock(self) -> None:
        """Work again."""
        self.blocked_since = None
        if self.hung_since is None:
            self._release()
            self._start()

    def _release(self) -> None:
        if self.blocked_since is None:
            held, self._held = self._held, []
            for call in held:
                call()

    def go_away(self) -> None:
        """SIGTERM: GOAWAY, finish what there is, end."""
        if self.alive and self.hung_since is None and not self.leaving:
            self.leaving = True
            self.engine.note(f"{self.name} goes away")
            for end in self.ends:
                if end.connection.state.value in ("open", "client leaving"):
                    end.connection.sent(kinds.GOAWAY)
                    end.out.write(encode_frame(kinds.GOAWAY, encode_body(Goaway("restart"))))
            self._maybe_leave()

    def _maybe_leave(self) -> None:
        if self.leaving and self.alive and not any(end.jobs for end in self.ends):
            self.crash()  # nothing is owed: its end is the connections' end

    # ---- connections ----------------------------------------------------------------------------------------------

    @property
    def accepts(self) -> bool:
        """Whether the port is open."""
        return self.alive and not self.leaving

    def accept(self, out: Pipe) -> NodeEnd:
        """Take a connection; `out` leads to the proxy."""
        end = NodeEnd(self, out)
        self.ends[end] = None
        return end

    def receive(self, end: NodeEnd, data: bytes | None) -> None:
        """Take bytes of a proxy, or its end."""
        if end not in self.ends:
            return
        if self.hung_since is not None:
            end.inbox.append(data)
            return
        if data is None:
            del self.ends[end]
            for job in list(end.jobs.values()):
                self._drop(job)
            self._maybe_leave()
            return
        for frame in end.connection.receive(data):
            if not self.mute:
                self._frame(end, frame)
                if end not in self.ends:
                    return
        if end.connection.fault is not None:
            raise ViolationError(f"the proxy broke the protocol to {self.name}: {end.connection.fault.detail}")

    def _frame(self, end: NodeEnd, frame: Frame) -> None:
        kind = frame.kind
        if kind == kinds.REQUEST:
            self._request(end, frame)
        elif kind == kinds.PING:
            end.out.write(encode_frame(kinds.PONG, encode_body(self._pong()), request_id=frame.request_id))
        elif kind == kinds.CANCEL:
            job = end.jobs.get(frame.request_id)
            if job is not None and not job.running:
                self._drop(job)
                self._answer(job, Status.CANCELLED, not_executed=True)
        elif kind == kinds.BIND:
            end.bound.add(decode_body(Bind, frame.body).number)
        elif kind == kinds.UNBIND:
            end.bound.discard(decode_body(Unbind, frame.body).number)
        elif kind == kinds.HELLO:
            end.connection.sent(kinds.WELCOME)
            end.connection.agree(1 << 20)
            end.out.write(_WELCOME)

    def _pong(self) -> Pong:
        window = self._window.advertised(1) if self.window_override is None else self.window_override
        stale = self.stale > 0
        return Pong(
            self.boot_id,
            len(self._queue),
            self.sessions,
            window,
            self.completed,
            self._generating,
            store_contact="stale" if stale else "current",
            state="stale" if stale else "up",
            administrative_state=self.administrative,
        )

    # ---- work -----------------------------------------------------------------------------------------------------

    def _request(self, end: NodeEnd, frame: Frame) -> None:
        if frame.principal not in end.bound:
            raise ViolationError(f"{self.name}: a request with a principal that BIND did not announce")
        job = Job(end, frame, self.engine.now + frame.timeout_ms / 1000)
        end.jobs[frame.request_id] = job
        if job.token:
            self.checks.taken(job.token, self)
        if self.leaving:
            self._answer(job, Status.GOING_AWAY, not_executed=True)
        elif self.not_current_share and job.token and self.engine.rng.random() < self.not_current_share:
            self._answer(job, Status.NOT_CURRENT, not_executed=True)
        elif self.swallow_share and job.token and self.engine.rng.random() < self.swallow_share:
            del end.jobs[frame.request_id]
        elif frame.opcode in LONG:
            self._generate(job)
        else:
            self._queue.append(job)
            self._start()

    def _generate(self, job: Job) -> None:
        self._generating += 1
        job.running = True
        self.checks.executed(job.token, self)
        self.engine.after(0.1 + 1.5 * self.engine.rng.random(), self._generated, self._epoch, job)

    def _generated(self, epoch: int, job: Job) -> None:
        if epoch != self._epoch:
            return
        if self.hung_since is not None or self.blocked_since is not None:
            self._held.append(lambda: self._generated(epoch, job))
            return
        self._generating -= 1
        self.completed += 1
        self._answer(job, Status.OK)

    def _start(self) -> None:
        engine = self.engine
        while self._queue and self._busy < self.sessions:
            job = self._queue.popleft()
            if engine.now > job.deadline:
                self._answer(job, Status.TIMEOUT, not_executed=True)
                continue
            self._busy += 1
            job.running = True
            if job.token:
                self.checks.executed(job.token, self)
                if POISON_KEY in job.frame.raw[:64]:
                    self.checks.killed(job.token, self)
                    self.crash()
                    return
            service_s = self.service_s * self.slow * (0.5 + engine.rng.random())
            engine.after(service_s, self._done, self._epoch, job, service_s)

    def _done(self, epoch: int, job: Job, service_s: float) -> None:
        if epoch != self._epoch:
            return
        if self.hung_since is not None or self.blocked_since is not None:
            self._held.append(lambda: self._done(epoch, job, service_s))
            return
        self._busy -= 1
        self.completed += 1
        self._window.served(service_s)
        self._served += 1
        if job.token and self.device_error_every and self._served % self.device_error_every == 0:
            self._answer(job, Status.DEVICE_ERROR)
        else:
            self._answer(job, Status.OK)
        if self.alive:
            self._start()

    def _drop(self, job: Job) -> None:
        """Take a job that did not begin out of the queue; its answer is the caller's affair."""
        if job in self._queue:
            self._queue.remove(job)

    def _answer(self, job: Job, status: Status, *, not_executed: bool = False) -> None:
        frame, end = job.frame, job.end
        if end.jobs.pop(frame.request_id, None) is None:
            raise ViolationError(f"{self.name} answers twice: a fault of the simulation itself")
        end.connection.answered(frame.request_id)
        if end not in self.ends:
            self._maybe_leave()
            return
        if status:
            raw = encode_failure(
                frame.request_id,
                status,
                "simulated",
                opcode=frame.opcode,
                operation_id=frame.operation_id,
                not_executed=not_executed,
            )
        else:
            raw = encode_frame(
                kinds.RESPONSE,
                self._body(job),
                request_id=frame.request_id,
                opcode=frame.opcode,
                operation_id=frame.operation_id,
            )
        end.out.write(raw)
        if self.echo_share and self.engine.rng.random() < self.echo_share:
            end.out.write(raw)
            end.out.write(raw[:8] + (frame.request_id + 1_000_000).to_bytes(4, "big") + raw[12:])
        self._maybe_leave()

    def _body(self, job: Job) -> bytes:
        if job.frame.opcode == _CHECK:
            challenge = decode_body(Check, job.frame.body).challenge
            signature = sign(self._public_key, challenge)
            if self.wrong_signature:
                signature = bytes(64)
            return encode_body(CheckResult(signature, self._public_key))
        return b"\x91\xc4\x08" + job.token


def sign(public_key: bytes, challenge: bytes) -> bytes:
    """Return what passes for a signature here."""
    return hashlib.blake2b(challenge, key=public_key[:64]).digest()
