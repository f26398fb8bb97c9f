"""One client of the soak: mixed operations, each answer checked against what must be true of it."""

import asyncio
import random
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from soak_record import Record

from hsm_client import Hsm, connect
from hsm_client.errors import BadData, BadSignature, HsmError, KeyDisabled, KeyNotFound
from hsm_client.keys import Key

TIMEOUT_S = 20.0
PAUSE_S = 0.4
"""Mean time between the turns of one client."""
OWN_KEYS = 2
"""Keys of one client from its start to its end: what nodes hold must not grow, their memory is measured."""
MECHANISM = "ecdsa-sha256"
_T = TypeVar("_T")


@dataclass(frozen=True)
class SharedKeys:
    """Ids of the keys that all clients use."""

    signing: str
    secret: str


class SoakClient:
    """Takes turns until told to stop."""

    def __init__(self, number: int, config: Path, keys: SharedKeys, record: Record, chance: random.Random) -> None:
        self.number = number
        self._config = config
        self._shared = keys
        self._record = record
        self._chance = chance
        self._label = f"soak-{number}"
        self._own: list[Key] = []
        self._randoms: set[bytes] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Connect and take turns."""
        turns = [self._sign] * 8 + [self._verify] * 3 + [self._cipher] * 4 + [self._random, self._find] * 2
        turns += [self._change_key]
        # About one key a second goes for another: tombstones are kept for ever, and no package promises more than one.
        turns = turns * 24 + [self._destroy_key]
        async with connect(self._config, timeout_s=TIMEOUT_S, pool_size=1) as hsm:
            signing, secret = await hsm.key(self._shared.signing), await hsm.key(self._shared.secret)
            while not stop.is_set():
                turn = self._chance.choice(turns) if len(self._own) >= OWN_KEYS else self._make_key
                try:
                    await turn(hsm, signing, secret)
                except HsmError as error:
                    name, detail = error.status_name, error.detail
                    self._record.violation(f"client {self.number}, {turn.__name__}: {name}: {detail}")
                await asyncio.sleep(self._chance.expovariate(1 / PAUSE_S))

    async def _timed(self, what: str, call: Awaitable[_T]) -> _T:
        begin = time.monotonic()
        try:
            return await call
        finally:
            self._record.took(what, time.monotonic() - begin)

    async def _refused(self, what: str, call: Awaitable[object], error: type[HsmError]) -> None:
        """The call must be refused with that error."""
        try:
            await self._timed(what, call)
        except error:
            return
        self._record.violation(f"client {self.number}: {what} was not refused with {error.__name__}")

    async def _sign(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        await self._sign_with(signing)

    async def _sign_with(self, key: Key) -> None:
        data = self._chance.randbytes(self._chance.choice((1, 32, 200, 4_000, 40_000)))
        signature = await self._timed("sign", key.sign(data, MECHANISM))
        public = await key.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        try:
            public.verify(signature, data, ec.ECDSA(SHA256()))
        except InvalidSignature:
            self._record.violation(f"client {self.number}: a signature of key {key.id} does not verify")

    async def _verify(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        data = self._chance.randbytes(64)
        signature = await self._timed("sign", signing.sign(data, MECHANISM))
        await self._timed("verify", signing.verify(data, signature, MECHANISM))
        await self._refused("verify of other data", signing.verify(data + b"x", signature, MECHANISM), BadSignature)

    async def _cipher(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        data = self._chance.randbytes(self._chance.choice((1, 100, 5_000, 60_000)))
        aad = self._chance.randbytes(8)
        encrypted = await self._timed("encrypt", secret.encrypt(data, aad=aad))
        if await self._timed("decrypt", secret.decrypt(encrypted, aad=aad)) != data:
            self._record.violation(f"client {self.number}: {len(data)} bytes were decrypted wrongly")
        await self._refused("decrypt with other aad", secret.decrypt(encrypted, aad=aad + b"x"), BadData)

    async def _random(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        size = self._chance.choice((16, 64, 1_000))
        data = await self._timed("random", hsm.random(size))
        if len(data) != size or data[:16] in self._randoms:
            self._record.violation(f"client {self.number}: {len(data)} random bytes instead of {size}, or old ones")
        if len(self._randoms) < 1_000:
            self._randoms.add(data[:16])

    async def _find(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        found = {key.id for key in await self._timed("find", hsm.find_keys(label=self._label))}
        own = {key.id for key in self._own}
        if own - found - self._record.doubtful:
            self._record.violation(f"client {self.number}: keys are not found: {own - found}")
        if found & self._record.destroyed:
            self._record.violation(f"client {self.number}: destroyed keys are found: {found & self._record.destroyed}")

    async def _make_key(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        key = await self._timed("generate", hsm.generate_key("ec-p256", label=self._label))
        if key.id in self._record.alive | self._record.destroyed:
            self._record.violation(f"client {self.number}: key {key.id} was made twice")
        self._record.alive.add(key.id)
        self._own.append(key)
        await self._sign_with(key)

    async def _change_key(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        key = self._chance.choice(self._own)
        await self._timed("update", key.disable())
        await self._refused("sign with a disabled key", key.sign(b"data", MECHANISM), KeyDisabled)
        await self._timed("update", key.enable())
        await self._sign_with(key)

    async def _destroy_key(self, hsm: Hsm, signing: Key, secret: Key) -> None:
        key = self._own.pop(self._chance.randrange(len(self._own)))
        self._record.doubtful.add(key.id)
        self._record.alive.discard(key.id)
        await self._timed("destroy", key.destroy())
        self._record.doubtful.discard(key.id)
        self._record.destroyed.add(key.id)
        await self._refused("sign with a destroyed key", key.sign(b"data", MECHANISM), KeyNotFound)


async def check_keys(config: Path, record: Record) -> None:
    """At the end: each key that was made is there and signs, none that was destroyed does."""
    async with connect(config, timeout_s=TIMEOUT_S) as hsm:
        found = {key.id: key for key in await hsm.find_keys()}
        for missing in record.alive - found.keys():
            record.violation(f"key {missing} was made and is gone")
        for back in record.destroyed & found.keys():
            record.violation(f"key {back} was destroyed and is there")
        for key_id in record.alive & found.keys():
            # Whatever fails is the violation.
            try:
                if not found[key_id].info.enabled:
                    await found[key_id].enable()
                await found[key_id].sign(b"data", MECHANISM)
            except HsmError as error:
                record.violation(f"key {key_id} serves no more: {error.status_name}: {error.detail}")
