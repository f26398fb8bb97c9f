"""What may be done with keys and with objects of a backup and of a side that was left behind."""

from collections.abc import Callable

from hsm_node.core.lifecycle import tombstone
from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.records import Record
from hsm_node.core.restoring_kinds import KeyRestoring, ObjectRestoring

Make = Callable[..., Record]


def test_a_tombstone_is_that_of_the_key_that_was_made_by_the_same_request(make_record: Make) -> None:
    held = make_record()
    kind = KeyRestoring()
    assert kind.same(tombstone(held, b""), held)
    assert not kind.same(tombstone(make_record(creation_digest=b"e" * 32), b""), held)
    assert not kind.same(tombstone(make_record(created=held.created + 1), b""), held)


def test_what_lives_ends_without_its_material(make_record: Make) -> None:
    key = KeyRestoring().ended(make_record())
    assert (key.destroyed, key.wrapped) == (True, b"")
    made = ObjectRecord(b"c" * 16, 1, b"k" * 16, 1, 1, 1, "data", "label", b"value", False, 1000, b"d" * 32, ())
    ended = ObjectRestoring().ended(made)
    assert (ended.destroyed, ended.value, ended.order) == (True, b"", 2)
