"""Clients of a cluster whose productive sites are about to be lost: they make, use and destroy keys.

Each is connected before the loss, and is never made anew: after the promotion the same ones go on.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from key_history import ENABLED, GONE, STATE, Change, Failed, KeyHistory, Seen
from msgspec import structs
from scale import SLACK
from store_clients import Answer, call, hearing

from hsm_client import Hsm, connect
from hsm_client.durabilities import Durability
from hsm_client.encodings import ecdsa_der, load_public_key
from hsm_client.errors import ClusterUnreachable
from hsm_client.key_ids import chosen_key_id
from hsm_client.policies import policy
from hsm_wire import messages as m
from hsm_wire.mechanisms import CKM_ECDSA_SHA256
from hsm_wire.opcodes import Opcode
from hsm_wire.statuses import Status

MAKERS: Final = 4
"""Of each durability."""
ENDERS: Final = 1
"""Of each durability: it makes a key and destroys it. What it saw is in `history`, for the history checker."""
USERS: Final = 8
CLIENTS: Final = 2 * (MAKERS + ENDERS) + USERS
PAUSE_S: Final = 0.05
"""Of a client, between two calls: eighty new keys a second of each durability, if the machine can."""
CALL_S: Final = 10.0
"""The library's own time for a use."""
AT_ONCE: Final = 32
"""Keys that are tried at one time after the promotion."""
TRY_S: Final = 60.0 * SLACK
"""For all uses that fail then and are no answer about the key: a crowd of them may be refused on a busy machine."""
AGAIN_S: Final = 0.2
CONNECT_S: Final = 30.0 * SLACK
END_S: Final = 30.0 * SLACK
MESSAGE: Final = b"made before the loss, signed after it"
_GONE: Final = (Status.KEY_NOT_FOUND.name, Status.KEY_DISABLED.name)

T = TypeVar("T")


DR_SITE: Final = "alps"
DR: Final = "dr"
QUORUM: Final = "quorum"
PENDING: Final = "pending"
"""Asked for under `dr`, and answered that the DR site does not have it yet."""
BEFORE: Final = "there before"
DURABILITIES: Final[tuple[Durability, ...]] = (DR, QUORUM)
"""Keys are made under both."""
KINDS: Final = (DR, QUORUM, PENDING, BEFORE)


class Made(NamedTuple):
    """A key that was answered OK."""

    key_id: bytes
    public: ec.EllipticCurvePublicKey
    kind: str
    at: float
    """When the answer came."""


class Used(NamedTuple):
    """One use by a client that was there before the loss."""

    client: int
    sent: float
    at: float
    status: str
    """Empty: the signature was right."""


class LossClients:
    """All of them, in a thread of their own between `start` and `close`. `made` and `used` are what they were told."""

    def __init__(self, config: Path) -> None:
        """Connect nobody yet."""
        self.made: list[Made] = []
        self.used: list[Used] = []
        self.history = KeyHistory(recovery_sites=frozenset({DR_SITE}))
        self.ended: list[bytes] = []
        """Keys of the history: their makers have destroyed them, or tried to."""
        self._config = config
        self._loop = asyncio.new_event_loop()
        self._hearing = hearing()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loss-clients")
        self._open: list[Hsm] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Connect all, take what is there already, and begin."""
        self._hearing.__enter__()
        self._thread.start()
        self._run(self._begin(), CLIENTS * CONNECT_S)

    def rest(self) -> None:
        """End the load; the clients stay."""
        self._run(self._rest(), END_S)

    def try_all(self) -> dict[bytes, str]:
        """Use every key once, through the clients that were there before; return what was said of those that fail."""
        return self._run(self._try_all(), TRY_S + len(self.made))

    def close(self) -> None:
        """Let all go, whatever state they are in."""
        try:
            if self._thread.is_alive():
                self._run(self._close(), END_S)
        finally:
            if self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join(END_S)
                self._hearing.__exit__(None, None, None)
            self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(within_s)

    async def _begin(self) -> None:
        for _ in range(CLIENTS):
            self._open.append(await self._connected())
        for key in await self._open[0].find_keys():
            self.made.append(_made(key.info, BEFORE, 0.0))
        users = self._open[:USERS]
        own = [await self._own_key(hsm) for hsm in users]
        turns: list[Callable[[], Awaitable[None]]] = []
        for number, (hsm, key) in enumerate(zip(users, own, strict=True)):
            turns.append(lambda number=number, hsm=hsm, key=key: self._use(number, hsm, key))  # type: ignore[misc]  # mypy cannot tell its type
        for number, hsm in enumerate(self._open[USERS:]):
            durability = DURABILITIES[number % len(DURABILITIES)]
            does = self._end if number < len(DURABILITIES) * ENDERS else self._make
            turns.append(lambda does=does, hsm=hsm, durability=durability: does(hsm, durability))  # type: ignore[misc]
        self._tasks = [self._loop.create_task(_again_and_again(turn)) for turn in turns]

    async def _connected(self) -> Hsm:
        """Return a new client; on a busy machine a handshake may take longer than the library waits."""
        deadline = self._loop.time() + CONNECT_S
        while True:
            try:
                return await connect(self._config, pool_size=2).open()
            except ClusterUnreachable:
                if self._loop.time() > deadline:
                    raise
                await asyncio.sleep(AGAIN_S)

    async def _rest(self) -> None:
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for fault in ended:
            if fault is not None and not isinstance(fault, asyncio.CancelledError):
                raise fault  # A load that ended by itself proves nothing.

    async def _close(self) -> None:
        await self._rest()
        await asyncio.gather(*(hsm.close() for hsm in self._open))

    async def _own_key(self, hsm: Hsm) -> Made:
        """Return a key that is at the DR site."""
        before = len(self.made)
        while len(self.made) == before or self.made[-1].kind != DR:
            await self._make(hsm, DR)
        return self.made[-1]

    async def _make(self, hsm: Hsm, durability: Durability) -> None:
        body = m.GenerateKey(chosen_key_id(None), "ec-p256", durability, 0, policy())
        answer = await call(hsm, Opcode.GENERATE_KEY, body, CALL_S, durability)
        if answer.status >> 8:
            return  # Nobody was told that it is there.
        info = m.decode_body(m.KeyInfo, answer.result)
        self.made.append(_made(info, PENDING if answer.status == Status.OK_DR_PENDING else durability, answer.at))

    async def _end(self, hsm: Hsm, durability: Durability) -> None:
        """Make a key, then destroy it; note what was answered."""
        key_id, changes = chosen_key_id(None), self.history.changes
        body = m.GenerateKey(key_id, "ec-p256", "to be destroyed", 0, policy())
        made = await call(hsm, Opcode.GENERATE_KEY, body, CALL_S, durability)
        if made.status >> 8:
            return
        self.ended.append(key_id)
        known = Change(key_id.hex(), ENABLED, made.sent, made.at, STATE, made.named, durability, creates=True)
        end = Change(key_id.hex(), GONE, made.at, durability=durability)  # in doubt, if nothing is heard of it
        place = len(changes) + 1
        changes += [known, end]
        answer = await call(hsm, Opcode.DESTROY_KEY, m.DestroyKey(key_id, 0), CALL_S, durability)
        if not answer.status >> 8:
            changes[place] = structs.replace(end, answered=answer.at, unconfirmed=answer.named)
        elif answer.not_executed:
            changes[place] = structs.replace(end, executed=False)

    async def _use(self, number: int, hsm: Hsm, key: Made) -> None:
        answer = await call(hsm, Opcode.SIGN, _signing(key.key_id), CALL_S)
        self.used.append(Used(number, answer.sent, answer.at, _judged(key, answer)))

    async def _try_all(self) -> dict[bytes, str]:
        failed: dict[bytes, str] = {}
        turn = asyncio.Semaphore(AT_ONCE)
        deadline = self._loop.time() + TRY_S

        async def one(number: int, key: Made) -> None:
            async with turn:
                while said := await self._tried(self._open[number % len(self._open)], key):
                    if said in _GONE or self._loop.time() > deadline:
                        failed[key.key_id] = said
                        return
                    await asyncio.sleep(AGAIN_S)

        tried = [one(number, key) for number, key in enumerate(self.made)]
        tried += [self._look(self._open[number % len(self._open)], id_, turn) for number, id_ in enumerate(self.ended)]
        await asyncio.gather(*tried)
        return failed

    async def _look(self, hsm: Hsm, key_id: bytes, turn: asyncio.Semaphore) -> None:
        """Note whether a key of the history serves."""
        deadline = self._loop.time() + TRY_S
        async with turn:
            while True:
                answer = await call(hsm, Opcode.SIGN, _signing(key_id), CALL_S)
                value = ENABLED if not answer.status >> 8 else GONE if answer.status_name in _GONE else ""
                if value:
                    seen = Seen(key_id.hex(), value, answer.sent, answer.at, STATE, answer.stale, answer.proxy)
                    self.history.seen.append(seen)
                    return
                if self._loop.time() > deadline:
                    self.history.failed.append(Failed(key_id.hex(), answer.status_name, answer.sent, answer.at))
                    return
                await asyncio.sleep(AGAIN_S)

    async def _tried(self, hsm: Hsm, key: Made) -> str:
        return _judged(key, await call(hsm, Opcode.SIGN, _signing(key.key_id), CALL_S))


async def _again_and_again(turn: Callable[[], Awaitable[None]]) -> None:
    while True:
        await turn()
        await asyncio.sleep(PAUSE_S)


def _made(info: m.KeyInfo, kind: str, at: float) -> Made:
    public = load_public_key(info)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return Made(info.key_id, public, kind, at)


def _signing(key_id: bytes) -> m.Sign:
    return m.Sign(key_id, CKM_ECDSA_SHA256, m.NIL_PARAMETERS, MESSAGE)


def _judged(key: Made, answer: Answer) -> str:
    """Return why a use is none; empty: its signature is right."""
    if answer.status >> 8:
        return answer.status_name
    signature = m.decode_body(m.SignResult, answer.body).signature
    try:
        key.public.verify(ecdsa_der(signature), MESSAGE, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return "WRONG SIGNATURE"
    return ""
