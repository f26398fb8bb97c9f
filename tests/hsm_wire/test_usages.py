from functools import reduce
from operator import or_

from hsm_wire.usages import ALL_POLICY_FLAGS, ALL_USAGES, PolicyFlag, Usage


def test_usages_are_nine_bits_and_all_of_them() -> None:
    assert [int(usage) for usage in Usage] == [1 << bit for bit in range(9)]
    assert reduce(or_, Usage) == ALL_USAGES


def test_policy_flags_are_seven_bits_and_all_of_them() -> None:
    assert [int(flag) for flag in PolicyFlag] == [1 << bit for bit in range(7)]
    assert reduce(or_, PolicyFlag) == ALL_POLICY_FLAGS
