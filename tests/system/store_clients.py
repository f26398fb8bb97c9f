"""Clients of a cluster under chaos: they make, use and change keys, and note what each answer said."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NamedTuple
from unittest.mock import patch

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from key_history import DISABLED, ENABLED, GONE, LABEL, STATE, Change, Failed, KeyHistory, Seen
from rounds import Rounds
from soak_record import Times

from hsm_client import Hsm, connect
from hsm_client.connection import Connection
from hsm_client.durabilities import Durability
from hsm_client.encodings import ecdsa_der, load_public_key
from hsm_client.errors import HsmError
from hsm_client.key_ids import chosen_key_id, new_operation_id
from hsm_client.policies import policy
from hsm_client.unconfirmed import UNCONFIRMED
from hsm_wire import messages as m
from hsm_wire.frames import Frame
from hsm_wire.kinds import Flag
from hsm_wire.mechanisms import CKM_ECDSA_SHA256
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

USE_S = 10.0
"""The library's own time for a use."""
CHANGE_S = 8.0
MAKERS = 32
CHANGERS = 8
USERS = 16
NEW_KEYS = 200
CHANGED_KEYS = 60
"""Of each, so many of the latest are used again and again."""
FIXED_KEYS = 4
CLIENTS = 8
MOVE_S = 1.0
"""Between two clients that are replaced by new ones: so all proxies are used again after a loss."""
DR_SHARE = 0.25
"""Of what is made and changed, so much asks for durability `dr`."""
LAST_S = USE_S + 2.0
"""How long a client that was replaced stays, for the calls that have it."""
_WAIT_CLASSES = (4, 5, 6)
"""Device, overload, transport: nothing is wrong with the request."""
_STATES = {int(Status.KEY_NOT_FOUND): GONE, int(Status.KEY_DISABLED): DISABLED}


class Heard(NamedTuple):
    """One sending's answer: when it came, through which proxy."""

    at: float
    proxy: str
    frame: Frame | None


class HeardAnswers(Connection):
    """The library's connection, which keeps what was answered to each sending of a call."""

    calls: ClassVar[dict[int, list[Heard | None]]] = {}
    """By operation id; None: not yet."""

    def send(
        self, opcode: int, body: bytes, *, timeout_s: float, operation_id: int = 0, flags: int = 0
    ) -> "asyncio.Future[Frame]":
        """Send as the library does."""
        future = super().send(opcode, body, timeout_s=timeout_s, operation_id=operation_id, flags=flags)
        sendings = self.calls.get(operation_id)
        if sendings is not None:
            place = len(sendings)
            sendings.append(None)

            def answered(done: "asyncio.Future[Frame]") -> None:
                lost = done.cancelled() or done.exception() is not None
                sendings[place] = Heard(time.monotonic(), str(self.address), None if lost else done.result())

            future.add_done_callback(answered)
        return future


@contextmanager
def hearing() -> Iterator[None]:
    """Let every client that is made meanwhile keep its answers."""
    with patch("hsm_client.pool.Connection", HeardAnswers):
        yield


class Answer(NamedTuple):
    """What became of one call."""

    sent: float
    at: float
    status: int
    status_name: str
    proxy: str
    stale: bool
    not_executed: bool
    body: bytes

    @property
    def named(self) -> tuple[str, ...]:
        """Who did not confirm what was done."""
        return tuple(m.decode_body(m.Unconfirmed, self.body).unconfirmed) if self.status in UNCONFIRMED else ()

    @property
    def result(self) -> bytes:
        """What OK would have said."""
        return bytes(m.decode_body(m.Unconfirmed, self.body).result) if self.status in UNCONFIRMED else self.body


async def call(
    hsm: Hsm, opcode: int, body: msgspec.Struct, timeout_s: float, durability: Durability | None = None
) -> Answer:
    """Ask, and return what the last answer said, whatever it was."""
    operation_id = new_operation_id()
    sendings = HeardAnswers.calls[operation_id] = []
    sent = time.monotonic()
    status, name = 0, ""
    try:
        # The form is never met: what the answer says is read below.
        await hsm.request(opcode, body, m.Empty, timeout_s=timeout_s, operation_id=operation_id, durability=durability)
    except HsmError as error:
        status, name = int(error.status or Status.UNAVAILABLE), error.status_name
    finally:
        del HeardAnswers.calls[operation_id]
    heard = [each for each in sendings if each is not None]
    frames = [each for each in heard if each.frame is not None]
    refused = len(frames) == len(sendings) > 0 and all(
        each.frame.flags & Flag.NOT_EXECUTED for each in frames if each.frame is not None
    )
    decisive = [each for each in frames if each.frame is not None and each.frame.status >> 8 == 0]
    last = (decisive or frames or [Heard(time.monotonic(), "", None)])[-1]
    if decisive and decisive[-1].frame is not None:
        status, name = decisive[-1].frame.status, Status(decisive[-1].frame.status).name
    stale = last.frame is not None and bool(last.frame.flags & Flag.STALE)
    return Answer(sent, last.at, status, name, last.proxy, stale, refused, last.frame.body if last.frame else b"")


Turn = Callable[[], Awaitable[None]]


class LiveKey:
    """What its makers know of a key."""

    def __init__(self, key_id: bytes, public: ec.EllipticCurvePublicKey | None = None) -> None:
        self.key_id = key_id
        self.name = key_id.hex()
        self.public = public
        self.changing = False


class StoreClients:
    """All clients of one run. `history` is what they saw."""

    def __init__(self, config: Path, seed: int, rate: float) -> None:
        """`rate`: keys a second to be made in the mean, by rounds of all makers at once."""
        self.history = KeyHistory()
        self.counts: Counter[str] = Counter()
        self.times: dict[str, Times] = {}
        self.keys: list[LiveKey] = []
        """Every key whose creation was answered."""
        self._config = config
        self._chance = random.Random(seed)
        self._rate = rate
        self._new: deque[LiveKey] = deque(maxlen=NEW_KEYS)
        self._changed: deque[LiveKey] = deque(maxlen=CHANGED_KEYS)
        self._fixed: list[LiveKey] = []
        self._stop = asyncio.Event()
        self._open: list[Hsm] = []
        self._free: list[asyncio.Future[None]] = []
        """Makers that wait for the next round."""
        self._any_free = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Take turns until told to stop, and end what is in flight."""
        self._stop = stop
        while len(self._open) < CLIENTS:
            self._open += await self._connected()
        self._fixed += [await self.make() for _ in range(FIXED_KEYS)]
        turns = [self._make_turn] * MAKERS + [self._change_turn] * CHANGERS + [self._use_turn] * USERS
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(self._move()), group.create_task(self._begin_rounds())]
            await asyncio.gather(*(group.create_task(self._client(turn)) for turn in turns))
            for task in beside:
                task.cancel()
        await asyncio.gather(*(hsm.close() for hsm in self._open))

    async def _client(self, turn: Turn) -> None:
        while not self._stop.is_set():
            await turn()

    async def _connected(self) -> list[Hsm]:
        """Return a new client, as the library makes it by default; nothing where none is to be had."""
        hsm = connect(self._config)
        try:
            return [await hsm.open()]
        except HsmError:
            self.counts["clients that could not connect"] += 1
            return []

    async def _move(self) -> None:
        leaving: deque[tuple[float, Hsm]] = deque()
        try:
            while True:
                await asyncio.sleep(MOVE_S)
                for hsm in await self._connected():
                    leaving.append((time.monotonic() + LAST_S, self._open.pop(0)))
                    self._open.append(hsm)
                while leaving and leaving[0][0] < time.monotonic():
                    await leaving.popleft()[1].close()
        finally:
            await asyncio.gather(*(hsm.close() for _, hsm in leaving))

    async def _begin_rounds(self) -> None:
        """Let all makers that are free begin together; the others are in flight still."""
        rounds = Rounds(self._rate, time.monotonic())
        while True:
            await asyncio.sleep(rounds.wait_s(time.monotonic()))
            await self._any_free.wait()
            rounds.begin(len(self._free), time.monotonic())
            self.counts["rounds of makers"] += 1
            for maker in self._free:
                maker.set_result(None)
            self._free.clear()
            self._any_free.clear()

    async def _make_turn(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._free.append(turn)
        self._any_free.set()
        await turn
        if self._stop.is_set():
            return
        key = await self.make()
        self._new.append(key)
        for _ in range(2):
            await self.use(key)

    async def _use_turn(self) -> None:
        await asyncio.sleep(self._chance.expovariate(4.0))
        keys = self._chance.choice((self._new, self._changed, self._fixed))
        await self.use(self._chance.choice(keys or self._fixed))

    async def _change_turn(self) -> None:
        await asyncio.sleep(self._chance.expovariate(2.0))
        free = [key for key in self._new if not key.changing]
        if not free:
            return
        key = self._chance.choice(free)
        key.changing = True
        self._changed.append(key)
        try:
            for change in self._chance.choice(_LIVES):
                await self.change(key, change)
                await self.use(key)
                if change == LABEL:
                    await self.describe(key)
        finally:
            key.changing = False

    @property
    def _any(self) -> Hsm:
        return self._chance.choice(self._open)

    async def make(self) -> LiveKey:
        """Make a key: the same request until it is answered."""
        key = LiveKey(chosen_key_id(None))
        strict = self._chance.random() < 0.2
        if strict:
            self.history.strict.add(key.name)
        body = m.GenerateKey(key.key_id, "ec-p256", "new", 0, policy(strict=strict))
        begun, durability = time.monotonic(), self._durability
        while True:
            answer = await call(self._any, Opcode.GENERATE_KEY, body, CHANGE_S, durability)
            self._took("make", answer)
            if answer.status >> 8 == 0:
                break
            assert answer.status >> 8 in _WAIT_CLASSES, f"key {key.name}: {answer.status_name}"
            await asyncio.sleep(0.1)
        public = load_public_key(m.decode_body(m.KeyInfo, answer.result))
        assert isinstance(public, ec.EllipticCurvePublicKey)
        key.public = public
        self._count(answer.named)
        self.history.changes += [
            Change(key.name, value, begun, answer.at, field, answer.named, durability, creates=True)
            for field, value in ((STATE, ENABLED), (LABEL, "new"))
        ]
        self.keys.append(key)
        return key

    async def change(self, key: LiveKey, change: str) -> None:
        """Change a key once, and note what is known of it then."""
        value = f"label-{self._chance.randrange(1 << 30)}" if change == LABEL else change
        body: msgspec.Struct = m.DestroyKey(key.key_id, 0)
        if change == LABEL:
            body = m.UpdateKey(key.key_id, 0, value, None, None, None)
        elif change != GONE:
            body = m.UpdateKey(key.key_id, 0, None, change == ENABLED, None, None)
        opcode, durability = Opcode.DESTROY_KEY if change == GONE else Opcode.UPDATE_KEY, self._durability
        answer = await call(self._any, opcode, body, CHANGE_S, durability)
        self._took("change", answer)
        if answer.status in _STATES:
            self._saw(key, _STATES[answer.status], answer)
        answered = answer.at if answer.status >> 8 == 0 else None
        self._count(answer.named)
        field, done = LABEL if change == LABEL else STATE, not answer.not_executed
        self.history.changes.append(
            Change(key.name, value, answer.sent, answered, field, answer.named, durability, executed=done)
        )

    async def use(self, key: LiveKey, node: str = "", through: Hsm | None = None) -> bool:
        """Sign with a key, and note what that says of it; return whether it says anything."""
        data = self._chance.randbytes(32)
        body = m.Sign(key.key_id, CKM_ECDSA_SHA256, m.NIL_PARAMETERS, data)
        answer = await call(through or self._any, Opcode.SIGN, body, USE_S)
        self._took("use", answer)
        if answer.status == 0:
            seen = self._saw(key, ENABLED, answer, node)
            signature = m.decode_body(m.SignResult, answer.body).signature
            try:
                assert key.public is not None
                key.public.verify(ecdsa_der(signature), data, ec.ECDSA(SHA256()))
            except InvalidSignature:
                self.history.wrong_signatures.append(seen)
        elif answer.status in _STATES:
            self._saw(key, _STATES[answer.status], answer, node)
        else:
            self.history.failed.append(Failed(key.name, answer.status_name, answer.sent, answer.at))
            return False
        return True

    async def describe(self, key: LiveKey) -> None:
        """Read a key, and note its label."""
        answer = await call(self._any, Opcode.DESCRIBE_KEY, m.DescribeKey(key.key_id), USE_S)
        self._took("read", answer)
        if answer.status == 0:
            info = m.decode_body(m.KeyInfo, answer.body)
            seen = (answer.sent, answer.at, LABEL, answer.stale, answer.proxy)
            self.history.seen.append(Seen(key.name, info.label, *seen))
        elif answer.status in _STATES:
            self._saw(key, _STATES[answer.status], answer)

    def _saw(self, key: LiveKey, value: str, answer: Answer, node: str = "") -> Seen:
        seen = Seen(key.name, value, answer.sent, answer.at, STATE, answer.stale, answer.proxy, node)
        self.history.seen.append(seen)
        self.counts["answers marked as stale"] += answer.stale
        return seen

    @property
    def _durability(self) -> Durability:
        return "dr" if self._chance.random() < DR_SHARE else "quorum"

    def _count(self, named: tuple[str, ...]) -> None:
        self.counts["answers that named the DR site"] += bool(self.history.recovery_sites & set(named))
        self.counts["answers that named nodes"] += bool(set(named) - self.history.recovery_sites)

    def _took(self, what: str, answer: Answer) -> None:
        self.times.setdefault(what, Times()).add(answer.at - answer.sent)
        if answer.status:
            self.counts[f"{what}: {answer.status_name}"] += 1


_LIVES = ((DISABLED, ENABLED), (LABEL,), (GONE,), (DISABLED, GONE), (LABEL, DISABLED, ENABLED))
"""What may become of a key, in this order."""
