"""Published vectors the whole way: client library, proxy and nodes, as processes of their own."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest
from at_once import Work, do_at_once
from cluster import Cluster
from published.case import MAKING, PROBE, PUBLIC, WRAPPING, Case, probing_mechanism, public_digest
from published.catalogue import Count, all_cases, sample

from hsm_client import Hsm, Key, connect
from hsm_client.encodings import ecdsa_der
from hsm_client.errors import HsmError
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import MECHANISMS
from hsm_wire.messages import InfoResult, Policy
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

pytestmark = pytest.mark.other_loop_in_system

OF_ONE_KIND = {"uvloop": 40, "asyncio": 3}
"""Cases of the same file, mechanism, use, type of key and outcome."""
TIMEOUT_S = 120.0
"""For an import too: an RSA-8192 key's primes are looked at for seconds, longer beside other tests."""
SIGNING = Usage.SIGN | Usage.VERIFY
# Answers of these have chance in them: what was made is opened again (test_mechanisms.py), and here what others made.
RANDOM_USES = {
    ("rsa-pkcs1", Usage.ENCRYPT),
    ("rsa-oaep", Usage.ENCRYPT),
    ("rsa-oaep", Usage.WRAP),
    *((row.alias, Usage.SIGN) for row in MECHANISMS.values() if row.alias.startswith(("rsa-pss", "ecdsa", "ml-dsa"))),
    ("ml-kem", Usage.ENCAPSULATE),
}
NOT_PUBLISHED = {"rsa-6144", "rsa-8192"}
"""Nobody has published signatures with keys that long: the answers are computed (`published.rsa.large_keys`)."""


class _Place(NamedTuple):
    """One imported key; one that wraps does nothing else, so the same material may be there twice."""

    key_type: str
    material: bytes
    wraps: bool
    exportable: bool


@pytest.fixture(scope="module")
def cluster(event_loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that nobody else has to share with thousands of keys."""
    cluster = Cluster(tmp_path_factory.mktemp(f"vectors-{event_loop_name}"), event_loop_name)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def _place(case: Case) -> _Place:
    return _Place(case.key_type, case.material, bool(case.usage & WRAPPING), exportable=False)


def _target(case: Case) -> _Place:
    return _Place(case.new_key_type, case.data, wraps=False, exportable=True)


def _as_policy_has_it(case: Case) -> Case:
    """Return the case as the service answers it, where a back end alone knows no policy."""
    if case.usage is Usage.WRAP and KEY_TYPES[case.key_type].strength < KEY_TYPES[case.new_key_type].strength:
        return replace(case, refused=Status.KEY_USAGE, by_policy=True)
    return case


class Run:
    """Imports every key once, then tries the cases, many at a time."""

    def __init__(self, hsm: Hsm, cases: Iterable[Case]) -> None:
        self._hsm = hsm
        self._cases = list(cases)
        self._keys: dict[_Place, Key | Status] = {}
        self.wrong: list[tuple[Case, Status | bytes]] = []

    async def all(self) -> None:
        """Do it."""
        usages: Counter[_Place] = Counter()
        flags: Counter[_Place] = Counter()
        for case in self._cases:
            usages[_place(case)] |= int(case.usage)
            flags[_place(case)] |= int(case.flags)
            if case.usage is Usage.WRAP:
                usages[_target(case)] |= int(SIGNING)
                flags[_target(case)] |= int(PolicyFlag.EXPORTABLE)
        await do_at_once([self._importing(place, usages[place], flags[place]) for place in usages])
        await do_at_once([self._trying(case) for case in self._cases])

    def _importing(self, place: _Place, usage: int, flags: int) -> Work:
        async def work() -> None:
            policy = Policy(flags=flags)
            try:
                self._keys[place] = await self._hsm.import_key(
                    place.key_type, place.material, usage=usage, policy=policy
                )
            except HsmError as error:
                self._keys[place] = Status(error.status)

        return work

    def _trying(self, case: Case) -> Work:
        async def work() -> None:
            try:
                outcome = await self._outcome(case)
            except HsmError as error:
                outcome = Status(error.status)
            if not case.agrees(outcome):
                self.wrong.append((case, outcome))

        return work

    async def _outcome(self, case: Case) -> Status | bytes:
        key = self._keys[_place(case)]
        if isinstance(key, Status):
            return key
        number, parameters = case.mechanism, case.parameters
        if case.usage is PUBLIC:
            return public_digest(key.info.public_key)
        if case.usage & MAKING:
            made = await self._made(case, key)
            return await made.sign(PROBE, probing_mechanism(made.type))
        if case.usage is Usage.WRAP:
            target = self._keys[_target(case)]
            assert isinstance(target, Key), f"{case}: the key to be wrapped was refused: {target!r}"
            return await key.wrap(target, number)
        if case.usage is Usage.SIGN:
            return await key.sign(case.data, number, parameters=parameters)
        if case.usage is Usage.VERIFY:
            ecdsa = MECHANISMS[number].families == (Family.EC,)
            signature = ecdsa_der(case.signature) if ecdsa else case.signature
            await key.verify(case.data, signature, number, parameters=parameters)
            return b""
        if case.usage is Usage.ENCRYPT:
            return (await key.encrypt(case.data, number, parameters=parameters)).ciphertext
        return await key.decrypt(case.data, number, parameters=parameters)

    async def _made(self, case: Case, key: Key) -> Key:
        new = case.new_key_type
        if case.usage is Usage.UNWRAP:
            return await self._hsm.unwrap_key(
                case.data, key, case.mechanism, new, parameters=case.parameters, usage=SIGNING
            )
        if case.usage is Usage.DERIVE:
            return await key.derive(case.mechanism, new, parameters=case.parameters, usage=SIGNING)
        return await key.decapsulate(case.data, new, usage=SIGNING)


def _check_nothing_is_left_out(cases: list[Case], info: InfoResult) -> None:
    good = [case for case in cases if case.refused is None]
    tried = {(MECHANISMS[case.mechanism].alias, usage) for case in good for usage in Usage if case.usage & usage}
    offered = {
        (MECHANISMS[row.number].alias, usage) for row in info.mechanisms for usage in Usage if row.usages & usage
    }
    assert offered - tried == RANDOM_USES
    assert {MECHANISMS[row.number].alias for row in info.mechanisms} == {row.alias for row in MECHANISMS.values()} - {
        "rsa-raw"
    }, "the software back end has all but raw RSA"
    assert set(info.key_types) == set(KEY_TYPES)
    published = {case.key_type for case in good if not case.computed} | {case.new_key_type for case in good}
    assert set(KEY_TYPES) - published == NOT_PUBLISHED
    assert {case.key_type for case in good if case.computed} == NOT_PUBLISHED


def test_what_is_published_is_what_comes_out_of_the_cluster(
    cluster: Cluster, count: Callable[[str, int], None]
) -> None:
    cases = [_as_policy_has_it(case) for case in sample(all_cases(), OF_ONE_KIND[cluster.event_loop])]

    async def main() -> InfoResult:
        async with connect(cluster.client_config, timeout_s=TIMEOUT_S) as hsm:
            run = Run(hsm, cases)
            await run.all()
            assert not run.wrong, f"{len(run.wrong)} of {len(cases)} otherwise, the first: {run.wrong[0]}"
            return await hsm.info()

    info = cluster.run(main)
    found = Count(cases)
    for line in found.lines(f"client to node on {cluster.event_loop}"):
        count(*line)
    if cluster.event_loop == "uvloop":
        assert found.vectors >= 2000
    _check_nothing_is_left_out(cases, info)
