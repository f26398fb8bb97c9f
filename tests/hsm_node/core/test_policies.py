import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_node.core.policies import (
    WRAPPING,
    check_derived,
    check_narrower,
    check_policy,
    check_remade,
    check_strength,
    check_template,
    check_unwrapped,
    check_usage,
    check_way_out,
    stricter,
)
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.mechanisms import CKM_AES_CBC, CKM_AES_GCM
from hsm_wire.messages import Policy
from hsm_wire.statuses import Status
from hsm_wire.usages import ALL_POLICY_FLAGS, ALL_USAGES, PERMISSIONS, PolicyFlag, Usage

FEW = st.integers(0, 3)
"""Few values, so that pairs of policies are often comparable."""
POLICIES = st.builds(
    Policy,
    st.sampled_from([0, int(PolicyFlag.EXPORTABLE), int(PolicyFlag.STRICT), int(ALL_POLICY_FLAGS)]),
    st.lists(st.sampled_from([CKM_AES_GCM, CKM_AES_CBC]), max_size=2),
    FEW,
    FEW,
    FEW,
    FEW,
)


@pytest.mark.parametrize("key_type", KEY_TYPES.values(), ids=lambda row: row.name)
def test_no_key_of_any_type_wraps_and_does_anything_else(key_type: KeyType) -> None:
    for usage in range(1, int(ALL_USAGES) + 1):
        fits = not usage & ~int(key_type.usages)
        pure = not (usage & WRAPPING and usage & ~int(WRAPPING))
        if fits and pure:
            check_usage(usage, key_type)
        else:
            with pytest.raises(Refusal) as refused:
                check_usage(usage, key_type)
            assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize(
    ("policy", "usage", "words"),
    [
        (Policy(int(ALL_POLICY_FLAGS) + 1), Usage.SIGN, "mean nothing"),
        (Policy(int(PolicyFlag.LEGACY_TEST)), Usage.SIGN, "sandbox"),
        (Policy(int(PolicyFlag.EXPORTABLE)), Usage.WRAP, "exportable"),
        (Policy(int(PolicyFlag.EXPORTABLE)), Usage.UNWRAP, "exportable"),
        (Policy(mechanisms=[9999]), Usage.SIGN, "unknown"),
        (Policy(not_before=5, not_after=4), Usage.SIGN, "ends before"),
    ],
)
def test_a_policy_that_contradicts_the_key_or_itself_is_refused(policy: Policy, usage: Usage, words: str) -> None:
    with pytest.raises(Refusal, match=words) as refused:
        check_policy(policy, int(usage), legacy_tests=False)
    assert refused.value.status is Status.BAD_REQUEST


def test_legacy_tests_are_for_clusters_that_have_them() -> None:
    check_policy(Policy(int(PolicyFlag.LEGACY_TEST)), int(Usage.SIGN), legacy_tests=True)


OLD = Policy(int(PERMISSIONS), [CKM_AES_GCM, CKM_AES_CBC], 10, 100, 50, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"flags": 0},
        {"flags": int(ALL_POLICY_FLAGS)},
        {"mechanisms": [CKM_AES_GCM]},
        {"not_before": 11},
        {"not_after": 99},
        {"max_uses": 49},
        {"destruction_wait_s": 6},
    ],
    ids=str,
)
def test_a_policy_may_get_narrower(change: dict[str, object]) -> None:
    check_narrower(OLD, msgspec.structs.replace(OLD, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"mechanisms": []},
        {"mechanisms": [CKM_AES_GCM, CKM_AES_CBC, 1]},
        {"not_before": 9},
        {"not_after": 101},
        {"not_after": 0},
        {"max_uses": 51},
        {"max_uses": 0},
        {"destruction_wait_s": 4},
    ],
    ids=str,
)
def test_a_policy_never_gets_wider(change: dict[str, object]) -> None:
    with pytest.raises(Refusal, match="narrower") as refused:
        check_narrower(OLD, msgspec.structs.replace(OLD, **change))
    assert refused.value.status is Status.BAD_REQUEST


@pytest.mark.parametrize("flag", PERMISSIONS, ids=lambda flag: flag.name)
def test_a_permission_is_never_given_later(flag: PolicyFlag) -> None:
    check_narrower(Policy(int(flag)), Policy())
    with pytest.raises(Refusal, match="taken away"):
        check_narrower(Policy(), Policy(int(flag)))


def test_strict_is_never_taken_away() -> None:
    check_narrower(Policy(), Policy(int(PolicyFlag.STRICT)))
    with pytest.raises(Refusal, match="strict stays"):
        check_narrower(Policy(int(PolicyFlag.STRICT)), Policy())


def _narrower(old: Policy, new: Policy) -> bool:
    try:
        check_narrower(old, new)
    except Refusal:
        return False
    return True


@given(POLICIES)
def test_every_policy_may_stay_as_it_is(policy: Policy) -> None:
    assert _narrower(policy, policy)


@given(POLICIES, POLICIES, POLICIES)
def test_no_way_of_small_steps_leads_where_one_step_does_not(one: Policy, two: Policy, three: Policy) -> None:
    if _narrower(one, two) and _narrower(two, three):
        assert _narrower(one, three)


@given(POLICIES, POLICIES)
def test_what_was_made_narrower_does_not_come_back(one: Policy, two: Policy) -> None:
    if _narrower(one, two) and _narrower(two, one):
        assert set(one.mechanisms) == set(two.mechanisms)
        same = msgspec.structs.replace(one, mechanisms=[])
        assert same == msgspec.structs.replace(two, mechanisms=[])


@pytest.mark.parametrize("usage", WRAPPING)
@pytest.mark.parametrize("origin", ["unwrapped", "derived"])
def test_what_came_in_wrapped_does_not_wrap(usage: Usage, origin: str) -> None:
    check_remade(int(Usage.ENCRYPT | Usage.DECRYPT), origin)
    check_remade(int(usage), "generated")
    check_remade(int(usage), "imported")
    with pytest.raises(Refusal, match=origin) as refused:
        check_remade(int(usage), origin)
    assert refused.value.status is Status.BAD_REQUEST


ORIGINS = ("generated", "imported", "derived", "unwrapped")


@pytest.mark.parametrize("target", ORIGINS)
@pytest.mark.parametrize("wrapping", ORIGINS)
def test_what_was_made_here_leaves_only_under_a_key_that_was_made_here(wrapping: str, target: str) -> None:
    if wrapping == "generated" or target == "imported":
        check_way_out(wrapping, target)
    else:
        with pytest.raises(Refusal, match="made here") as refused:
            check_way_out(wrapping, target)
        assert refused.value.status is Status.KEY_USAGE


@given(st.integers(0, int(ALL_POLICY_FLAGS)), st.integers(0, int(ALL_POLICY_FLAGS)), st.integers(0, 255))
def test_no_copy_of_a_key_may_do_what_the_key_may_not(target: int, wrapping: int, copy: int) -> None:
    with contextlib.suppress(Refusal):
        check_template(Policy(wrapping), Policy(target))
        check_unwrapped(Policy(wrapping), Policy(copy & int(ALL_POLICY_FLAGS)))
        assert copy & ~target & int(PERMISSIONS) in (0, PolicyFlag.EXPORTABLE)


@pytest.mark.parametrize("flag", PERMISSIONS & ~PolicyFlag.EXPORTABLE, ids=lambda flag: flag.name)
def test_a_copy_keeps_a_permission_where_its_wrapping_key_has_it(flag: PolicyFlag) -> None:
    check_template(Policy(int(flag)), Policy(int(flag | PolicyFlag.EXPORTABLE)))
    check_unwrapped(Policy(int(flag)), Policy(int(flag | PolicyFlag.EXPORTABLE | PolicyFlag.STRICT)))
    with pytest.raises(Refusal):
        check_template(Policy(int(flag)), Policy(int(PolicyFlag.EXPORTABLE)))
    with pytest.raises(Refusal):
        check_unwrapped(Policy(), Policy(int(flag)))


def test_what_is_made_from_a_key_that_stays_here_stays_here() -> None:
    free, bound = Policy(int(PolicyFlag.EXPORTABLE)), Policy()
    for source, made in ((free, free), (free, bound), (bound, bound)):
        check_derived(source, made)
    with pytest.raises(Refusal) as refused:
        check_derived(bound, free)
    assert refused.value.status is Status.KEY_USAGE


@pytest.mark.parametrize("flag", PERMISSIONS, ids=lambda flag: flag.name)
def test_what_is_derived_has_a_permission_only_where_its_source_has_it(flag: PolicyFlag) -> None:
    check_derived(Policy(int(flag)), Policy(int(flag)))
    check_derived(Policy(), Policy(int(PolicyFlag.STRICT)))
    with pytest.raises(Refusal) as refused:
        check_derived(Policy(int(PERMISSIONS & ~flag)), Policy(int(flag)))
    assert refused.value.status is Status.KEY_USAGE


@pytest.mark.parametrize(
    "wrapping", [row for row in KEY_TYPES.values() if row.usages & Usage.WRAP], ids=lambda r: r.name
)
def test_no_key_is_wrapped_by_a_weaker_one(wrapping: KeyType) -> None:
    for target in KEY_TYPES.values():
        if wrapping.strength >= target.strength:
            check_strength(wrapping.name, target.name)
        else:
            with pytest.raises(Refusal, match="stronger") as refused:
                check_strength(wrapping.name, target.name)
            assert refused.value.status is Status.KEY_USAGE


def test_strengths_are_those_of_the_standard() -> None:
    known = {"rsa-2048": 112, "rsa-3072": 128, "ec-p256": 128, "ec-p384": 192, "ec-p521": 256, "aes-128": 128}
    assert {name: KEY_TYPES[name].strength for name in known} == known


@given(POLICIES, POLICIES)
def test_the_stricter_of_two_policies_allows_no_more_than_either(one: Policy, two: Policy) -> None:
    both = stricter(one, two)
    if both is None:
        assert not set(one.mechanisms) & set(two.mechanisms)
        return
    assert _narrower(one, both)
    assert _narrower(two, both)
    assert stricter(one, one) == one
