"""Records that two sides have changed apart: which is older, and what the stricter of both is."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.reconciling import is_older, joined_key, joined_object
from hsm_node.core.records import Record, next_record, remembered
from hsm_wire.messages import Policy
from hsm_wire.usages import PolicyFlag

Make = Callable[..., Record]


def changed(record: Record, mark: bytes, **fields: Any) -> Record:
    return next_record(record, changes=remembered(record.changes, mark), **fields)


def some_object(**changes: Any) -> ObjectRecord:
    made = ObjectRecord(b"c" * 16, 1, b"k" * 16, 1, 1, 1, "data", "label", b"value", False, 1000, b"d" * 32, ())
    return msgspec.structs.replace(made, **changes)


def test_what_has_all_changes_of_a_record_is_newer(make_record: Make) -> None:
    made = make_record()
    one = changed(made, b"1", enabled=False)
    two = changed(one, b"2", enabled=True)
    assert is_older(made, made)
    assert is_older(made, two)
    assert is_older(one, two)
    assert not is_older(two, one)
    apart = changed(one, b"3", label="other")
    sent_to_both = changed(changed(made, b"4", label="x"), b"2", enabled=True)
    assert not is_older(two, sent_to_both), "one mark in common says little"
    assert not is_older(two, apart)
    assert not is_older(apart, two)


def test_what_was_allowed_again_on_this_side_alone_stays_so(make_record: Make) -> None:
    old = changed(make_record(), b"1", enabled=False)
    held = changed(old, b"2", enabled=True)
    assert joined_key(old, held) is held
    counted = joined_key(msgspec.structs.replace(old, uses=7), held)
    assert (counted.enabled, counted.uses) == (True, 7)


@pytest.mark.parametrize(
    ("there", "here", "after"),
    [
        ({"enabled": False}, {}, {"enabled": False}),
        ({}, {"enabled": False}, {"enabled": False}),
        ({"usage": 0b110}, {"usage": 0b011}, {"usage": 0b010}),
        ({"enabled": False, "destroy_at": 900}, {"enabled": False, "destroy_at": 800}, {"destroy_at": 800}),
        ({"enabled": False, "destroy_at": 900}, {}, {"destroy_at": 900, "enabled": False}),
        ({"policy": Policy(max_uses=5)}, {"policy": Policy(max_uses=9)}, {"policy": Policy(max_uses=5)}),
        ({"replaced_by": b"r" * 16}, {}, {"replaced_by": b"r" * 16}),
        ({"uses": 3, "gcm_leased": 9}, {"uses": 5, "gcm_leased": 1}, {"uses": 5, "gcm_leased": 9}),
        ({"policy": Policy(mechanisms=[1])}, {"policy": Policy(mechanisms=[2])}, {"enabled": False}),
    ],
)
def test_the_stricter_of_both_holds(
    make_record: Make, there: dict[str, Any], here: dict[str, Any], after: dict[str, Any]
) -> None:
    made = make_record(usage=0b111)
    held = changed(made, b"2", **here)
    record = changed(made, b"1", **there)
    joined = joined_key(record, held)
    assert {name: getattr(joined, name) for name in after} == after
    assert joined_key(record, joined) is joined, "what comes once more changes nothing"


def test_a_label_comes_from_the_side_that_alone_has_changed_the_key(make_record: Make) -> None:
    made = make_record(label="made")
    record = changed(made, b"1", label="there")
    assert joined_key(record, made).label == "there"
    here = changed(made, b"2", label="here")
    assert joined_key(record, here) is here


def test_permissions_of_both_are_left_and_strict_of_either(make_record: Make) -> None:
    made = make_record()
    flags = int(PolicyFlag.EXPORTABLE | PolicyFlag.RAW_RSA), int(PolicyFlag.RAW_RSA | PolicyFlag.STRICT)
    one, two = (changed(made, bytes([mark]), policy=Policy(flags=each)) for mark, each in enumerate(flags))
    assert joined_key(one, two).policy.flags == PolicyFlag.RAW_RSA | PolicyFlag.STRICT


def test_an_object_is_taken_where_the_old_side_alone_has_changed_it() -> None:
    made = some_object()
    there = some_object(version=2, order=2, value=b"there", changes=(b"1",))
    here = some_object(version=2, order=2, value=b"here", changes=(b"2",))
    joined = joined_object(there, made)
    assert (joined.value, joined.changes) == (b"there", (b"1",))
    assert joined_object(there, joined) is joined
    assert joined_object(made, here) is here
    assert joined_object(there, here) is here
