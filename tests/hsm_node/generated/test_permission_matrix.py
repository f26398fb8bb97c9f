"""Every use of every mechanism with keys in every situation: allowed or refused as the rules in words say."""

import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from desk import Asked as Question
from desk import Desk
from good_requests import WRAPPED_TYPE, Good, GoodRequests, nonce_field, uses
from key_materials import SMALLEST
from key_rules import Asked, Situation, counts, families_of, refusals, situations
from keys_in_situations import KeysInSituations
from wire_values import packed

from hsm_wire.key_types import KEY_TYPES, Family
from hsm_wire.mechanisms import CKM_AES_GCM, CKM_ECDSA_SHA256, MECHANISMS, Mechanism
from hsm_wire.statuses import Status
from hsm_wire.usages import PolicyFlag, Usage

USES: Final = list(uses())
ALL_FLAGS: Final = PolicyFlag(0x7F)
TARGET: Final = Situation("may leave under any key", Usage.ENCRYPT, ALL_FLAGS)
ABSENT: Final = Situation("absent", Usage(0), became="absent")


@pytest.fixture(scope="module")
def requests(desk: Desk) -> GoodRequests:
    return GoodRequests(desk.ask, desk.offered)


@pytest.fixture(scope="module")
def keys(desk: Desk) -> KeysInSituations:
    return KeysInSituations(desk.ask)


def name_of(value: object) -> str:
    """Return how pytest names a parameter."""
    if isinstance(value, Mechanism):
        return value.alias
    return str(value.name).lower() if isinstance(value, Usage | Family) else "own-nonce" * bool(value)


def rows(good: Good) -> Iterator[tuple[str, Situation]]:
    """Give (key type, situation): all of its own type, and one key of every other that can do the most."""
    own = good.key.key_type
    mechanisms = tuple(number for number, row in MECHANISMS.items() if own.family in families_of(row))
    another = CKM_ECDSA_SHA256 if own.family is not Family.EC else CKM_AES_GCM
    yield own.name, ABSENT
    yield from ((own.name, situation) for situation in situations(own, good.usage, mechanisms, another))
    for name in SMALLEST.values():
        others = KEY_TYPES[name]
        if others.family is not own.family:
            rest = situations(others, good.usage, (), another)
            yield from ((name, row) for row in rest if row.name == "every flag")


def asked_for(good: Good, key_id: bytes, keys: KeysInSituations, *, own_nonce: bool) -> bytes:
    """Return the good request with another key and, if that is meant, the caller's own nonce."""
    fields = good.fresh()
    if good.usage is Usage.WRAP:
        fields["key_id"] = keys.key(WRAPPED_TYPE, TARGET)
    first, place = next(iter(fields)), nonce_field(good.mechanism)
    fields[first] = key_id
    if own_nonce:
        assert place is not None
        given = fields["parameters"]
        fields["parameters"] = [*given[:place], bytes(16), *given[place + 1 :]]
    return packed(list(fields.values()))


@pytest.mark.parametrize(("mechanism", "usage", "family", "own_nonce"), USES, ids=name_of)
def test_a_key_does_what_its_usage_its_policy_and_its_state_allow_and_nothing_else(
    desk: Desk,
    requests: GoodRequests,
    keys: KeysInSituations,
    count: Callable[[str, int], None],
    mechanism: Mechanism,
    usage: Usage,
    family: Family,
    own_nonce: bool,
) -> None:
    good = requests.make(mechanism, usage, family)
    asked = Asked(mechanism, usage, int(time.time()), own_nonce)
    table = list(rows(good))
    questions = [
        Question(good.opcode, asked_for(good, keys.key(name, situation), keys, own_nonce=own_nonce))
        for name, situation in table
    ]
    here = requests.offered.get(mechanism.number, 0) & usage
    allowed, wrong = 0, []
    for (name, situation), answer in zip(table, desk.ask_all(questions), strict=True):
        right = refusals(asked, KEY_TYPES[name], situation) or {Status.OK}
        if name != good.key.key_type.name and families_of(mechanism) >= {KEY_TYPES[name].family, family}:
            right = right | {Status.BAD_DATA}  # ECDH: the peer's key is of the other curve
        right = right if here else {Status.MECHANISM_NOT_HERE}
        allowed += right == {Status.OK}
        if answer.status not in right:
            wrong.append(f"{name} {situation.name}: {answer.word}, not {' or '.join(one.name for one in right)}")
    assert not wrong, "\n".join(wrong)
    assert allowed or not here
    count("rows of the matrix of keys: allowed", allowed)
    count("rows of the matrix of keys: refused", len(table) - allowed)


@pytest.mark.parametrize(
    ("mechanism", "usage", "family", "own_nonce"), [row for row in USES if not row[3]], ids=name_of
)
def test_a_key_makes_as_many_uses_as_its_policy_says_and_a_repeated_one_is_the_same_use(
    desk: Desk,
    requests: GoodRequests,
    keys: KeysInSituations,
    count: Callable[[str, int], None],
    mechanism: Mechanism,
    usage: Usage,
    family: Family,
    own_nonce: bool,
) -> None:
    good = requests.make(mechanism, usage, family)
    key_type, key = good.key.key_type, good.key
    situation = Situation("used twice", key.usage, key.flags, max_uses=2)
    key_id = keys.new(key_type.name, situation)
    bodies = [asked_for(good, key_id, keys, own_nonce=False) for _ in range(3)]
    order = [(0, 1), (0, 1), (1, 2), (2, 3), (0, 1)]
    statuses = [desk.ask(good.opcode, bodies[body], operation_id=operation).status for body, operation in order]
    last = Status.KEY_USAGE if counts(usage, key_type) else Status.OK
    if not requests.offered.get(mechanism.number, 0) & usage:
        assert set(statuses) == {Status.MECHANISM_NOT_HERE}
    else:
        assert statuses == [Status.OK, Status.OK, Status.OK, last, Status.OK]
        count("rows of the matrix of keys: allowed", 4)
        count("rows of the matrix of keys: refused", 1)
