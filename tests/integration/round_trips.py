"""What a key of the cluster made, it undoes itself: every mechanism with every type of key and kind of parameters.

What has chance in it, and so no published answer, must come back here; what was changed must not.
"""

from collections.abc import Iterable
from functools import partial

import msgspec
import pytest
from at_once import FEW_IN_FLIGHT, Work, do_at_once
from published.case import PROBE, probing_mechanism
from published.rsa import large_keys
from published.wycheproof import rsa_decryption
from varieties import Variety

from hsm_client import Hsm, Key
from hsm_client.errors import BadData, BadSignature
from hsm_wire import mechanisms as ckm
from hsm_wire import parameters as p
from hsm_wire.key_types import KEY_TYPES, Family, KeyType
from hsm_wire.messages import Policy
from hsm_wire.usages import PolicyFlag, Usage

WRAPPING = Usage.WRAP | Usage.UNWRAP
SIGNING = Usage.SIGN | Usage.VERIFY
FLAGS = PolicyFlag.CALLER_IV | PolicyFlag.LEGACY_TEST | PolicyFlag.PKCS1_DECRYPT | PolicyFlag.CBC_PADDING
SELF_CHECKING = (ckm.CKM_AES_GCM, ckm.CKM_RSA_PKCS_OAEP)
"""They notice a changed ciphertext always."""
NEW_TYPES = [row for row in KEY_TYPES.values() if row.symmetric]
"""Of keys that are derived."""
IMPORTED = ("rsa-4096", "rsa-6144", "rsa-8192")
"""To generate them takes seconds, or minutes beside other tests."""


class RoundTrips:
    """The keys, and what each variety does with them."""

    def __init__(self, hsm: Hsm) -> None:
        self._hsm = hsm
        self._keys: dict[str, list[Key]] = {}
        self._wrapping: dict[tuple[str, str], Key] = {}
        self._targets: dict[tuple[str, str], Key] = {}
        self.done = 0

    async def all(self, varieties: Iterable[Variety]) -> None:
        """Make the keys, and every round trip."""
        materials = _materials()
        await do_at_once([partial(self._prepare, row, materials) for row in KEY_TYPES.values()])
        slow: list[Work] = []
        fast: list[Work] = []
        for number, variety in enumerate(varieties):
            (slow if variety.slow else fast).append(partial(self._one, variety, number))
        await do_at_once(fast)
        await do_at_once(slow, FEW_IN_FLIGHT)

    async def _prepare(self, row: KeyType, materials: dict[str, bytes]) -> None:
        """Make the keys of a type: two to work with, some to wrap with and one to be wrapped, of each origin."""
        generate = partial(self._hsm.generate_key, row.name)
        bring = partial(self._hsm.import_key, row.name, materials.get(row.name, b""))
        make = bring if row.name in IMPORTED else generate
        usage, policy = row.usages & ~WRAPPING, Policy(flags=int(FLAGS))
        self._keys[row.name] = [await make(usage=usage, policy=policy) for _ in range(2)]
        for work in {make, bring} if row.name in materials else {make}:
            origin = "imported" if work is bring else "generated"
            exportable = Policy(flags=int(PolicyFlag.EXPORTABLE))
            self._targets[row.name, origin] = await work(usage=_lasting_usage(row), policy=exportable)
            if row.usages & WRAPPING:
                self._wrapping[row.name, origin] = await work(usage=WRAPPING)

    async def _one(self, variety: Variety, number: int) -> None:
        row, new_type = variety.mechanism, NEW_TYPES[number % len(NEW_TYPES)]
        try:
            if row.usages & Usage.SIGN:
                await self._signed(variety)
            if row.usages & Usage.ENCRYPT:
                await self._encrypted(variety)
            if row.usages & Usage.WRAP:
                await self._wrapped(variety)
            if row.usages & Usage.DERIVE:
                await self._derived(variety, new_type)
            if row.usages & Usage.ENCAPSULATE:
                await self._encapsulated(variety)
        except Exception as error:
            error.add_note(f"in the round trip of {variety}")
            raise

    async def _signed(self, variety: Variety) -> None:
        row, key_type, parameters = variety
        key, other = self._keys[key_type.name]
        for data in variety.datas(Usage.SIGN):
            signature = await key.sign(data, row.number, parameters=parameters)
            await key.verify(data, signature, row.number, parameters=parameters)
            if key_type.name not in IMPORTED:  # there both are one key
                with pytest.raises(BadSignature):
                    await other.verify(data, signature, row.number, parameters=parameters)
            wrong = _changed(signature)
            with pytest.raises(BadSignature):
                await key.verify(data, wrong, row.number, parameters=parameters)
            self.done += 1

    async def _encrypted(self, variety: Variety) -> None:
        row, key_type, parameters = variety
        key, _ = self._keys[key_type.name]
        for data in variety.datas(Usage.ENCRYPT):
            sealed = await key.encrypt(data, row.number, parameters=parameters)
            opening = _with_iv(row.parameters, parameters, sealed.iv)
            assert await key.decrypt(sealed.ciphertext, row.number, parameters=opening) == data
            if row.number in SELF_CHECKING:
                with pytest.raises(BadData):
                    await key.decrypt(_changed(sealed.ciphertext), row.number, parameters=opening)
            self.done += 1

    async def _wrapped(self, variety: Variety) -> None:
        row, key_type, parameters = variety
        for (name, origin), target in self._targets.items():
            wrapping = self._wrapping.get((key_type.name, origin))
            new = KEY_TYPES[name]
            if wrapping is None or key_type.strength < new.strength:
                continue
            if row.number != ckm.CKM_AES_KEY_WRAP_KWP and not new.symmetric:
                continue  # Private keys have any length, and more than RSA takes.
            wrapped = await wrapping.wrap(target, row.number, parameters=parameters)
            unwrap = partial(self._hsm.unwrap_key, unwrapping_key=wrapping, mechanism=row.number, key_type=name)
            back = await unwrap(wrapped, parameters=parameters, usage=_lasting_usage(new))
            assert await self._shown(back) == await self._shown(target)
            with pytest.raises(BadData):
                await unwrap(_changed(wrapped), parameters=parameters, usage=_lasting_usage(new))
            self.done += 1

    async def _derived(self, variety: Variety, new: KeyType) -> None:
        row, key_type, parameters = variety
        one, other = self._keys[key_type.name]
        ways: list[tuple[Key, p.Parameters]]
        if isinstance(parameters, p.EcdhParameters):
            ways = [
                (key, msgspec.structs.replace(parameters, peer_public_key=peer.info.public_key))
                for key, peer in ((one, other), (other, one))
            ]
        else:
            assert parameters is not None
            ways = [(one, parameters), (one, parameters)]
        made = [await key.derive(row.number, new.name, parameters=way, usage=_lasting_usage(new)) for key, way in ways]
        first, second = [await self._shown(key) for key in made]
        assert first == second
        self.done += 1

    async def _encapsulated(self, variety: Variety) -> None:
        key, _ = self._keys[variety.key_type.name]
        for new in (row for row in NEW_TYPES if row.size == 256):
            sent = await key.encapsulate(new.name, usage=_lasting_usage(new))
            got = await key.decapsulate(sent.ciphertext, new.name, usage=_lasting_usage(new))
            assert await self._shown(sent.key) == await self._shown(got)
            self.done += 1

    async def _shown(self, key: Key) -> bytes:
        """Return what tells the key from others."""
        if key.info.public_key:
            return key.info.public_key
        if KEY_TYPES[key.type].family is Family.SECRET:
            key = await key.hkdf("hmac-256", usage=SIGNING)
        return await key.sign(PROBE, probing_mechanism(key.type))


def _lasting_usage(row: KeyType) -> Usage:
    """Return usages that show which key it is."""
    return row.usages & SIGNING or row.usages & ~WRAPPING


def _materials() -> dict[str, bytes]:
    """Return what is imported: symmetric keys as well, as an imported key wraps imported ones only."""
    found = {row.name: b"\x5a" * (row.size // 8) for row in KEY_TYPES.values() if row.symmetric}
    found |= {case.key_type: case.material for case in rsa_decryption() if case.key_type == "rsa-4096"}
    return found | {case.key_type: case.material for case in large_keys()}


def _with_iv(form: type[p.Parameters] | None, parameters: p.Parameters | None, iv: bytes) -> p.Parameters | None:
    """Return the parameters of the decryption, which has to name what the node has chosen."""
    given = parameters or (form() if form and iv else None)
    if isinstance(given, p.GcmParameters | p.IvParameters):
        return msgspec.structs.replace(given, iv=iv)
    return msgspec.structs.replace(given, counter_block=iv) if isinstance(given, p.CtrParameters) else given


def _changed(data: bytes) -> bytes:
    """Return it with another last byte."""
    return data[:-1] + bytes([data[-1] ^ 1])
