"""The rules that no request gets around: usages that do not mix, what is inherited, policies that only get narrower."""

import os
from collections.abc import Callable
from functools import partial
from itertools import combinations, product
from typing import Any, Final

import msgspec
import pytest
from desk import Desk
from good_requests import Good, GoodRequests
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from key_materials import SMALLEST, material
from key_rules import FAR_AWAY, LONG_AGO, Asked, Situation, families_of, refusals
from operation_bodies import smallest
from wire_values import packed

from hsm_node.core.authorize import allow_use
from hsm_node.core.lifecycle import check_new_key
from hsm_node.core.policies import check_narrower
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import (
    CKM_AES_GCM,
    CKM_ECDSA_SHA256,
    CKM_SHA256_HMAC,
    MECHANISM_BY_ALIAS,
    MECHANISMS,
    Mechanism,
)
from hsm_wire.messages import NIL_PARAMETERS, DescribeKey, GenerateKey, Policy, Sign, UpdateKey, decode_body
from hsm_wire.opcodes import Opcode
from hsm_wire.operations import OPERATIONS
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_USAGES, PolicyFlag, Usage

MAKING: Final = (
    Opcode.GENERATE_KEY,
    Opcode.IMPORT_KEY,
    Opcode.UNWRAP_KEY,
    Opcode.DERIVE,
    Opcode.ENCAPSULATE,
    Opcode.DECAPSULATE,
)
FROM_KEYS: Final = {
    Opcode.UNWRAP_KEY: ("aes-kwp", Usage.UNWRAP, Family.AES),
    Opcode.DERIVE: ("hkdf", Usage.DERIVE, Family.SECRET),
    Opcode.ENCAPSULATE: ("ml-kem", Usage.ENCAPSULATE, Family.ML_KEM),
    Opcode.DECAPSULATE: ("ml-kem", Usage.DECAPSULATE, Family.ML_KEM),
}
WRAPPING: Final = Usage.WRAP | Usage.UNWRAP
EVERY_FLAG: Final = PolicyFlag(0x7F)
NOW: Final = LONG_AGO + 1


def answered(check: Callable[[], object]) -> Status:
    """Return what a check of the node says."""
    try:
        check()
    except Refusal as refusal:
        return refusal.status
    return Status.OK


def mixes(usage: Usage) -> bool:
    """Say whether one key would do what must be two keys' work: wrap or unwrap, and anything else."""
    return bool(usage & WRAPPING) and bool(usage & ~WRAPPING)


def may_be_made(opcode: Opcode, key_type: str, usage: Usage) -> bool:
    """Say whether a key may be made for that, that way: what is not made here does not wrap."""
    foreign = usage & ~KEY_TYPES[key_type].usages
    remade = opcode not in (Opcode.GENERATE_KEY, Opcode.IMPORT_KEY)
    return not foreign and not mixes(usage) and not (remade and usage & WRAPPING)


@pytest.mark.parametrize("opcode", MAKING, ids=lambda opcode: opcode.name.lower())
def test_no_way_to_make_a_key_mixes_usages(count: Callable[[str, int], None], opcode: Opcode) -> None:
    form = OPERATIONS[opcode].request
    plain = decode_body(form, packed(list(smallest(opcode).values())))
    allowed = 0
    for key_type, bits in product(KEY_TYPES, range(1, int(ALL_USAGES) + 1)):
        request = msgspec.structs.replace(plain, key_type=key_type, usage=bits)
        right = may_be_made(opcode, key_type, Usage(bits))
        status = answered(partial(check_new_key, request, KEY_TYPES))
        assert status is (Status.OK if right else Status.BAD_REQUEST), (key_type, bits)
        allowed += right
    count("sets of usages for new keys: allowed", allowed)
    count("sets of usages for new keys: refused", len(KEY_TYPES) * int(ALL_USAGES) - allowed)


@pytest.fixture(scope="module")
def makers(desk: Desk) -> dict[Opcode, Good]:
    """How keys are made from keys; the source is not exportable."""
    requests = GoodRequests(desk.ask, desk.offered)
    return {
        opcode: requests.make(MECHANISM_BY_ALIAS[alias], usage, family)
        for opcode, (alias, usage, family) in FROM_KEYS.items()
    }


def new_key_body(makers: dict[Opcode, Good], opcode: Opcode, usage: Usage, policy: list[Any]) -> bytes:
    """Return a request for a new AES key."""
    if opcode in makers:
        return packed(list({**makers[opcode].fresh(), "usage": int(usage), "policy": policy}.values()))
    start: list[Any] = [os.urandom(16), "aes-256", *([material("aes-256")] if opcode is Opcode.IMPORT_KEY else [])]
    return packed([*start, "", int(usage), policy])


@pytest.mark.parametrize("opcode", MAKING, ids=lambda opcode: opcode.name.lower())
def test_no_operation_makes_a_key_with_usages_that_do_not_mix(
    desk: Desk, makers: dict[Opcode, Good], count: Callable[[str, int], None], opcode: Opcode
) -> None:
    for usages in (*combinations(Usage, 1), *combinations(Usage, 2)):
        usage = Usage(sum(usages))
        answer = desk.ask(opcode, new_key_body(makers, opcode, usage, []))
        right = may_be_made(opcode, "aes-256", usage)
        assert answer.status == (Status.OK if right else Status.BAD_REQUEST), (usage, answer.word)
        count(f"sets of usages for new keys: {'allowed' if right else 'refused'}", 1)


@pytest.mark.parametrize(
    "opcode", [op for op in FROM_KEYS if op is not Opcode.UNWRAP_KEY], ids=lambda op: op.name.lower()
)
@pytest.mark.parametrize("source_may", [False, True], ids=["from one that stays", "from one that may leave"])
@pytest.mark.parametrize("made_may", [False, True], ids=["stays", "may leave"])
def test_what_is_made_from_a_key_that_stays_here_stays_here(
    desk: Desk, makers: dict[Opcode, Good], opcode: Opcode, source_may: bool, made_may: bool
) -> None:
    good = makers[opcode]
    source, name = os.urandom(16), SMALLEST[good.key.key_type.family]
    policy = [int(PolicyFlag.EXPORTABLE) if source_may else 0]
    imported = desk.ask(Opcode.IMPORT_KEY, packed([source, name, material(name), "", int(good.key.usage), policy]))
    assert imported.status == Status.OK, imported.word
    wanted = [int(PolicyFlag.EXPORTABLE) if made_may else 0]
    answer = desk.ask(opcode, packed(list({**good.fresh(), "key_id": source, "policy": wanted}.values())))
    assert answer.status == (Status.KEY_USAGE if made_may and not source_may else Status.OK), answer.word


SOME_MECHANISMS: Final = (CKM_AES_GCM, CKM_ECDSA_SHA256)
FEW: Final = st.sampled_from([0, 1, 2, 3, 1_000, FAR_AWAY])
POLICIES: Final = st.builds(
    Policy,
    st.integers(0, int(EVERY_FLAG)) | st.sampled_from([0, int(EVERY_FLAG)]),
    st.lists(st.sampled_from(SOME_MECHANISMS), max_size=2),
    FEW,
    FEW,
    FEW,
    st.sampled_from([0, 1, 3600]),
).filter(lambda policy: not policy.not_after or policy.not_before <= policy.not_after)
BEYOND: Final = FAR_AWAY + 2
"""Above every bound of these policies."""
OF_LATER_VERSIONS: Final = 0
"""Stands for the mechanisms that are not there yet: a policy that names none allows them too."""


def allowed_by(policy: Policy, other: Policy) -> set[tuple[str, int]]:
    """Return everything that a policy allows, out of what tells two policies apart."""
    moments = {at + step for one in (policy, other) for at in (one.not_before, one.not_after) for step in (-1, 0, 1)}
    uses = {1, policy.max_uses, policy.max_uses + 1, other.max_uses, other.max_uses + 1, BEYOND}
    first, last, most = policy.not_before, policy.not_after or BEYOND, policy.max_uses or BEYOND
    numbers = policy.mechanisms or (OF_LATER_VERSIONS, *MECHANISMS)
    cut_off = () if policy.flags & PolicyFlag.STRICT else (0,)
    return {
        *(("permission", int(flag)) for flag in PolicyFlag(policy.flags) & ~PolicyFlag.STRICT),
        *(("mechanism", number) for number in numbers),
        *(("at", at) for at in (*moments, BEYOND) if first <= at <= last),
        *(("use", number) for number in uses if 1 <= number <= most),
        *(("cut off from the store", at) for at in cut_off),
        *(("gone after", seconds) for seconds in (0, 1, 3600) if seconds >= policy.destruction_wait_s),
    }


def is_narrower(old: Policy, new: Policy) -> bool:
    """Say whether everything that the new policy allows was allowed before."""
    return allowed_by(new, old) <= allowed_by(old, new)


@settings(max_examples=400)
@given(POLICIES, POLICIES)
def test_a_change_is_taken_exactly_when_it_allows_nothing_new(old: Policy, new: Policy) -> None:
    right = Status.OK if is_narrower(old, new) else Status.BAD_REQUEST
    assert answered(partial(check_narrower, old, new)) is right


@settings(max_examples=100)
@given(old=POLICIES, steps=st.lists(POLICIES, min_size=1, max_size=4))
def test_a_key_keeps_the_narrowest_policy_that_it_ever_had(desk: Desk, old: Policy, steps: list[Policy]) -> None:
    assume(not old.not_after or old.not_before <= old.not_after)
    key_id = os.urandom(16)
    body = packed([key_id, "aes-128", "", int(Usage.ENCRYPT), list(msgspec.structs.astuple(old))])
    assert desk.ask(Opcode.GENERATE_KEY, body).status == Status.OK
    for new in steps:
        answer = desk.ask(Opcode.UPDATE_KEY, packed([key_id, 0, None, None, None, list(msgspec.structs.astuple(new))]))
        narrower = is_narrower(old, new)
        assert answer.status == (Status.OK if narrower else Status.BAD_REQUEST), answer.word
        old = new if narrower else old
    described = msgspec.msgpack.decode(desk.ask(Opcode.DESCRIBE_KEY, packed([key_id])).body)
    assert described[9] == list(msgspec.structs.astuple(old))


@pytest.mark.parametrize("mechanism", MECHANISMS.values(), ids=lambda row: row.alias)
def test_every_combination_of_type_usage_flags_mechanisms_time_and_state_is_judged_as_the_rules_say(
    make_record: Callable[..., Record], count: Callable[[str, int], None], mechanism: Mechanism
) -> None:
    own = [name for name, row in KEY_TYPES.items() if row.family in families_of(mechanism)]
    other = next(name for name, row in KEY_TYPES.items() if row.family not in families_of(mechanism))
    flags = [PolicyFlag(0), EVERY_FLAG, *(EVERY_FLAG & ~flag for flag in PolicyFlag)]
    lists = [(), (mechanism.number,), (0xFFFF,)]
    times = [(0, 0), (NOW + 1, 0), (0, NOW - 1), (NOW, NOW)]
    allowed = refused = 0
    for usage, name, enabled in product(mechanism.usages, (*own, other), (True, False)):
        could = KEY_TYPES[name].usages & (WRAPPING if usage & WRAPPING else ~WRAPPING)
        for held, bits, numbers, (first, last) in product((usage, could, could & ~usage), flags, lists, times):
            key = Situation("", held, bits, numbers, first, last, became="" if enabled else "disabled")
            policy = Policy(int(bits), list(numbers), first, last)
            record = make_record(key_type=name, usage=int(held), policy=policy, enabled=enabled)
            right = refusals(Asked(mechanism, usage, NOW), KEY_TYPES[name], key) or {Status.OK}
            status = answered(partial(allow_use, record, mechanism, usage, NOW))
            assert status in right, (usage, name, key)
            allowed += right == {Status.OK}
            refused += right != {Status.OK}
    assert allowed
    count("combinations of a key's type, usage, policy and state: allowed", allowed)
    count("combinations of a key's type, usage, policy and state: refused", refused)


async def test_a_node_that_is_cut_off_from_its_store_serves_no_key_be_it_strict_or_not(
    start_node: Callable[[], Any],
) -> None:
    node = start_node()
    client = await node.client()
    keys = [os.urandom(16), os.urandom(16)]
    for key_id, flags in zip(keys, (0, PolicyFlag.STRICT), strict=True):
        made = await client.call(Opcode.GENERATE_KEY, GenerateKey(key_id, "hmac-256", policy=Policy(int(flags))))
        assert made.status == Status.OK
    node.store.close()
    for key_id in keys:
        for opcode, body, status in (
            (Opcode.SIGN, Sign(key_id, CKM_SHA256_HMAC, NIL_PARAMETERS, b""), Status.NOT_CURRENT),
            (Opcode.DESCRIBE_KEY, DescribeKey(key_id), Status.NOT_CURRENT),
            (Opcode.UPDATE_KEY, UpdateKey(key_id, label="new"), Status.STORE_UNAVAILABLE),
        ):
            assert (await client.call(opcode, body)).status == status
