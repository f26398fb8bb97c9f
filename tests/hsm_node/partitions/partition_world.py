"""A node that does the same each time: chance belongs to who asks, time stands still, threads are none.

What a request costs is counted: calls of the store and of the back end, records decrypted, jobs for threads of each
pool. Two requests with the same counts took the same way, so nobody tells them apart by how long they took.
"""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

from hsm_daemon import clock
from hsm_node import keystore as keystore_module
from hsm_node.backends import private_keys, software
from hsm_node.backends.base import Outcome
from hsm_node.backends.post_quantum import MlKemKey
from hsm_node.backends.software import IMPLEMENTED, SoftwareBackend
from hsm_node.config import load_node_config
from hsm_node.core.keyring import Keyring
from hsm_node.core.principals import Principal
from hsm_node.core.refusal import Refusal
from hsm_node.keystore import Keystore
from hsm_node.service.request import Request
from hsm_node.store.sqlite import SqliteStore
from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter, encode_frame

MASTER_KEY = bytes(range(32))
START_S = 1_800_000_000.0
TURNS = 1000
"""Of the event loop, that an answer may take without a thread."""
Work = Callable[[], Any]


class Answer(NamedTuple):
    """Everything that a caller gets."""

    status: int
    body: bytes
    detail: str = ""
    not_executed: bool = False
    retry_after_ms: int = 0


class InlinePool:
    """Does each job at once, and counts it."""

    counts: ClassVar[Counter[str]] = Counter()

    def __init__(self, name: str, *_arguments: Any, **_options: Any) -> None:
        self.name = name
        self.waiting = self.running = self.expired = 0

    async def run(self, _deadline: float, work: Work, *, measured: bool = True, asker: Any = None) -> Any:
        self.counts[f"job of {self.name}"] += 1
        return work()

    def submit(self, job: Any) -> None:
        self.counts[f"job of {self.name}"] += 1
        try:
            value = job.work()
        except Exception as error:  # noqa: BLE001 - as the real one hands it over
            job.failure(error)
        else:
            job.result(value)

    def withdraw(self, _job: Any) -> bool:
        return False

    def sweep(self) -> None:
        """Nothing ever waits."""

    def close(self) -> None:
        """There are no threads."""


class Counted:
    """Counts the calls of something."""

    def __init__(self, name: str, target: Any) -> None:
        self._name = name
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found) or isinstance(found, frozenset | dict):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            InlinePool.counts[f"{self._name}.{name}"] += 1
            return found(*arguments, **options)

        return call


class CountedBackend(SoftwareBackend):
    """The software back end, whose work on records is counted too."""

    def _material(self, record: Any) -> bytes:
        InlinePool.counts["record decrypted"] += 1
        return super()._material(record)


@cache
def made_key(name: str) -> Any:
    """Return the one key of that type that everybody generates: the same material in both partitions."""
    return _generated(software.KEY_TYPES[name])


def encapsulated(key: MlKemKey, mechanism: int) -> tuple[bytes, bytes]:
    """Return the one ciphertext and secret of that key: keys are made of the secret, and at work in what follows."""
    place = key._public.public_bytes_raw()
    if place not in _encapsulated:
        _encapsulated[place] = _encapsulate(key, mechanism)
    return _encapsulated[place]


_encapsulated: dict[bytes, tuple[bytes, bytes]] = {}
_encapsulate = MlKemKey.encapsulate
_generated = private_keys.generated
_urandom = os.urandom


def without_chance(patch: pytest.MonkeyPatch) -> None:
    """Take threads, time, and chance for private keys and secrets out of nodes that are made from now on."""
    patch.setattr(keystore_module, "Pool", InlinePool)
    patch.setattr(keystore_module, "SoftwareBackend", lambda ring: Counted("back end", CountedBackend(ring)))
    patch.setattr(software, "own_outcome", lambda: Outcome(IMPLEMENTED, ()))
    patch.setattr(private_keys, "generated", lambda key_type: made_key(key_type.name))
    patch.setattr(MlKemKey, "encapsulate", encapsulated)
    patch.setattr(clock, "now", lambda: World.now_s)
    patch.setattr(clock, "monotonic", lambda: World.now_s - START_S + 1000.0)


class World:
    """One node, its store, and clients `a` and `b` of partitions 1 and 2."""

    now_s = START_S

    def __init__(self, runner: asyncio.Runner, folder: Path, store: Path) -> None:
        self._runner = runner
        config, cluster = load_node_config(folder / "node.toml")
        self._ring = Keyring(MASTER_KEY)
        self.store = SqliteStore(store, cluster.name, self._ring)
        self.store._writer.execute("PRAGMA synchronous=OFF")  # nothing here outlives the test
        self._splitter = FrameSplitter(1 << 20)
        self._chance: Counter[int] = Counter()
        self._asked: Counter[int] = Counter()
        World.now_s = START_S

        async def make() -> Keystore:
            return Keystore(config, cluster, self._ring, Counted("store", self.store))  # type: ignore[arg-type]

        self.keystore = runner.run(make())

    def close(self) -> None:
        """Let go of the store."""
        self.keystore.close()
        self.store.close()

    def ask(self, partition: int, opcode: int, body: bytes) -> tuple[Answer, Counter[str]]:
        """Return the answer to a request of that partition's client, and what it cost."""
        self._asked[partition] += 1
        number = self._asked[partition]
        sent = encode_frame(kinds.REQUEST, body, opcode=opcode, request_id=number, operation_id=number)
        [frame] = self._splitter.split(sent)
        name = f"spiffe://dev/client/{partition}"
        principal = Principal(name, partition, frozenset(("use", "manage")), 0)
        answers: list[Answer] = []

        class Sink:
            """Takes the one answer."""

            def answer(self, _request: Request, status: int, body: bytes) -> None:
                answers.append(Answer(status, bytes(body)))

            def refuse(self, _request: Request, r: Refusal) -> None:
                answers.append(Answer(int(r.status), b"", r.detail, r.not_executed, r.retry_after_ms))

        request = Request(frame, principal, clock.monotonic() + 10, Sink())
        self.keystore.service.follow()  # As a link does before it serves; it reads what anybody wrote.
        InlinePool.counts.clear()
        self._runner.run(self._serve(partition, request, answers))
        [answer] = answers
        return answer, Counter(InlinePool.counts)

    def wait(self, seconds: float) -> None:
        """Let time pass; keys whose time has come are destroyed."""
        World.now_s += seconds

        async def sweep() -> None:
            self.keystore.destructions.sweep()
            await self._settled()

        self.keystore.service.follow()
        self._runner.run(sweep())

    async def _serve(self, partition: int, request: Request, answers: list[Answer]) -> None:
        os.urandom = lambda length: self._random(partition, length)
        try:
            self.keystore.service.serve(request)
            await self._settled()
        finally:
            os.urandom = _urandom
        assert len(answers) == 1, "an answer waits for a thread or for time"

    @staticmethod
    async def _settled() -> None:
        for _ in range(TURNS):
            if len(asyncio.all_tasks()) == 1:
                return
            await asyncio.sleep(0)

    def _random(self, partition: int, length: int) -> bytes:
        """Return the next bytes of this partition's chance; both have the same, so that their keys are the same."""
        self._chance[partition] += 1
        return hashlib.shake_256(b"chance %d" % self._chance[partition]).digest(length)
