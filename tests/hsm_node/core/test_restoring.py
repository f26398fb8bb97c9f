"""What becomes of a record of a backup, for everything that the store may have in its place."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from hsm_node.core.envelopes import RecordError
from hsm_node.core.keyring import Keyring
from hsm_node.core.lifecycle import tombstone
from hsm_node.core.object_records import ObjectRecord, seal_object
from hsm_node.core.records import Record, next_record, seal_record
from hsm_node.core.restoring import (
    DUE,
    GONE,
    Choice,
    Home,
    Outcome,
    Restoring,
    decide,
    joined,
)
from hsm_node.core.restoring_kinds import KeyRestoring, ObjectRestoring
from hsm_wire.backup_messages import RestoreChoice
from hsm_wire.messages import Policy
from hsm_wire.usages import PolicyFlag

Make = Callable[..., Record]
KEYS, OBJECTS = KeyRestoring(), ObjectRestoring()
NOW_S = 5000.0
ID = (b"k" * 16).hex()
NOBODY = RestoreChoice()
DESTROYED = RestoreChoice(even_destroyed=[ID])
CHANGED = RestoreChoice(even_changed=[ID])


def some_object(**changes: Any) -> ObjectRecord:
    made = ObjectRecord(b"c" * 16, 1, b"k" * 16, 1, 1, 1, "data", "label", b"value", False, 1000, b"d" * 32, ())
    return msgspec.structs.replace(made, **changes)


def outcome(
    record: Any,
    held: Any,
    choice: RestoreChoice = NOBODY,
    kind: Restoring[Any] = KEYS,
    *,
    damaged: bool = False,
) -> Outcome:
    return decide(kind, record, held, Choice(choice), NOW_S, damaged=damaged).outcome


def test_what_the_store_lacks_is_made_and_what_was_destroyed_stays_used_up(make_record: Make) -> None:
    record = make_record()
    assert outcome(record, None) is Outcome.MADE
    assert outcome(make_record(enabled=False), None) is Outcome.MADE
    assert outcome(tombstone(record, b""), None) is Outcome.BURIED
    told = decide(KEYS, tombstone(record, b""), None, Choice(DESTROYED), NOW_S, damaged=False)
    assert told == (Outcome.BURIED, GONE)


def test_what_lives_stays_as_it_is_unless_it_is_named(make_record: Make) -> None:
    record = make_record()
    assert outcome(record, record) is Outcome.THERE
    later: list[dict[str, Any]] = [
        {"enabled": False},
        {"usage": 1},
        {"label": "other"},
        {"policy": Policy(flags=int(PolicyFlag.STRICT))},
        {"destroy_at": 9000},
    ]
    for change in later:
        held = next_record(record, **change)
        assert outcome(record, held) is Outcome.CHANGED_SINCE
        assert outcome(record, held, DESTROYED) is Outcome.CHANGED_SINCE
        assert outcome(record, held, CHANGED) is Outcome.SET_BACK
        set_back = KEYS.set_back(record, held, NOW_S)
        assert KEYS.same_state(record, set_back)
        assert (set_back.version, set_back.order) == (3, 3)
    # The other way round as well: a restore takes nothing from what lives.
    assert outcome(make_record(enabled=False), record) is Outcome.CHANGED_SINCE


def test_uses_that_were_counted_since_are_no_change_of_state(make_record: Make) -> None:
    record = make_record()
    assert outcome(record, next_record(record, uses=7, gcm_leased=4)) is Outcome.THERE


def test_what_was_destroyed_since_stays_so_unless_it_is_named(make_record: Make) -> None:
    record = make_record(uses=3, gcm_leased=9)
    held = tombstone(msgspec.structs.replace(record, uses=5, version=4, sequence=8, gcm_leased=1), b"m" * 16)
    assert outcome(record, held) is Outcome.DESTROYED_SINCE
    assert outcome(record, held, CHANGED) is Outcome.DESTROYED_SINCE
    assert outcome(record, held, DESTROYED) is Outcome.BROUGHT_BACK
    assert outcome(record, held, RestoreChoice(even_destroyed=["label"])) is Outcome.BROUGHT_BACK
    back = KEYS.after(record, held, NOW_S)
    assert (back.version, back.order) == (held.version + 1, held.order + 1)
    assert (back.uses, back.gcm_leased) == (5, 9)
    assert back.changes == held.changes
    assert not back.destroyed
    assert back.wrapped == record.wrapped


def test_a_tombstone_in_the_backup_brings_nothing_back_and_destroys_nothing(make_record: Make) -> None:
    record = make_record()
    buried = tombstone(record, b"")
    assert outcome(buried, buried) is Outcome.THERE
    assert decide(KEYS, buried, buried, Choice(DESTROYED), NOW_S, damaged=False) == (Outcome.THERE, GONE)
    assert outcome(buried, record) is Outcome.LIVES
    assert KEYS.buried(buried) is buried


def test_another_key_under_the_id_is_left_alone(make_record: Make, keyring: Keyring) -> None:
    record = make_record()
    for held in (
        make_record(key_type="aes-256"),
        make_record(created=1001),
        make_record(wrapped=keyring.wrap(b"o" * 32)),
    ):
        assert outcome(record, held) is Outcome.OTHER
        assert outcome(record, held, CHANGED) is Outcome.OTHER
    # Under another master key the same material has other bytes.
    assert outcome(record, make_record(wrapped=b"other", master_key_version=2)) is Outcome.THERE


def test_a_damaged_record_may_have_been_a_destroyed_one(make_record: Make) -> None:
    record = make_record()
    assert outcome(record, None, damaged=True) is Outcome.DAMAGED
    assert outcome(record, None, DESTROYED, damaged=True) is Outcome.BROUGHT_BACK
    assert outcome(tombstone(record, b""), None, DESTROYED, damaged=True) is Outcome.DAMAGED
    counted = KEYS.counted(make_record(version=3, sequence=4), 100)
    assert (counted.version, counted.order) == (101, 101)
    assert KEYS.counted(make_record(version=3, sequence=400), 100).order == 401


def test_a_key_whose_destruction_was_due_counts_as_destroyed(make_record: Make) -> None:
    due, later = make_record(destroy_at=4000), make_record(destroy_at=6000)
    assert decide(KEYS, due, None, Choice(NOBODY), NOW_S, damaged=False) == (Outcome.BURIED, DUE)
    assert KEYS.buried(due).destroyed
    assert not KEYS.buried(due).wrapped
    assert outcome(later, None) is Outcome.MADE
    assert KEYS.staying(later, NOW_S) is later
    # Named, it comes back, and is not destroyed in the next moment.
    assert outcome(due, None, DESTROYED) is Outcome.MADE
    back = KEYS.staying(due, NOW_S)
    assert (back.destroy_at, back.enabled) == (0, False)


def test_objects_have_the_same_rules() -> None:
    record = some_object()
    assert outcome(record, None, kind=OBJECTS) is Outcome.MADE
    assert outcome(record, record, kind=OBJECTS) is Outcome.THERE
    held = some_object(value=b"new", version=2, order=3)
    assert outcome(record, held, kind=OBJECTS) is Outcome.CHANGED_SINCE
    assert outcome(record, held, CHANGED, kind=OBJECTS) is Outcome.SET_BACK
    back = OBJECTS.set_back(record, held, NOW_S)
    assert (back.value, back.version, back.order) == (b"value", 3, 4)
    assert outcome(record, some_object(kind="certificate"), kind=OBJECTS) is Outcome.OTHER
    gone = some_object(destroyed=True, value=b"", label="", version=5, order=6, changes=(b"m",))
    assert outcome(record, gone, kind=OBJECTS) is Outcome.DESTROYED_SINCE
    again = OBJECTS.after(record, gone, NOW_S)
    assert (again.value, again.version, again.order, again.changes) == (b"value", 6, 7, (b"m",))
    assert OBJECTS.buried(gone) is gone
    assert OBJECTS.staying(record, NOW_S) is record
    assert OBJECTS.counted(record, 10).order == 11


def test_a_record_comes_home_to_another_cluster(make_record: Make, keyring: Keyring) -> None:
    source = Keyring(bytes(range(32)))
    source.make_store_keys()
    record = make_record(master_key_version=source.version)
    name = source.name(1, b"k" * 16)
    data = seal_record(record, source)
    opened = KEYS.opened(data, name, b"c" * 16, source)
    assert opened == record
    for cluster, ring in ((b"x" * 16, source), (b"c" * 16, keyring)):
        with pytest.raises(RecordError):
            KEYS.opened(data, name, cluster, ring)
    # There it is another store, whose count of master keys is another one.
    keyring.renumber(1, 3)
    home = KEYS.at_home(opened, Home(b"h" * 16, 4, keyring))
    assert (home.cluster_id, home.epoch, home.master_key_version) == (b"h" * 16, 4, 3)
    assert keyring.unwrap(home.wrapped, 32, 3) == b"m" * 32


def test_material_is_wrapped_anew_where_two_master_keys_are_held(make_record: Make, keyring: Keyring) -> None:
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    home = KEYS.at_home(make_record(), Home(b"h" * 16, 1, keyring))
    assert home.master_key_version == 2
    assert keyring.unwrap(home.wrapped, 32, 2) == b"m" * 32
    buried = KEYS.at_home(tombstone(make_record(), b""), Home(b"h" * 16, 1, keyring))
    assert not buried.wrapped


def test_an_object_comes_home(keyring: Keyring) -> None:
    data = seal_object(some_object(), keyring)
    opened = OBJECTS.opened(data, keyring.object_name(1, b"k" * 16), b"c" * 16, keyring)
    home = OBJECTS.at_home(opened, Home(b"h" * 16, 4, keyring))
    assert (home.cluster_id, home.epoch, home.value) == (b"h" * 16, 4, b"value")


@pytest.mark.parametrize(
    ("choice", "taken"),
    [
        (RestoreChoice(), True),
        (RestoreChoice(names=[ID]), True),
        (RestoreChoice(names=["label"]), True),
        (RestoreChoice(names=["other"]), False),
        (RestoreChoice(names=["other"], even_destroyed=[ID]), True),
        (RestoreChoice(names=["other"], even_changed=["label"]), True),
        (RestoreChoice(partition=1), True),
        (RestoreChoice(partition=2), False),
        (RestoreChoice(names=[ID], partition=2), False),
    ],
)
def test_what_is_chosen(make_record: Make, choice: RestoreChoice, taken: bool) -> None:
    assert Choice(choice).takes(make_record()) is taken


def test_names_that_nothing_has_are_told(make_record: Make) -> None:
    choice = Choice(RestoreChoice(names=[ID, "nobody"], even_destroyed=["gone"], even_changed=["label"]))
    choice.takes(make_record())
    assert choice.unknown == ["gone", "nobody"]


def joining(record: Any, held: Any, *, damaged: bool = False) -> Outcome:
    """What becomes of a record of the side that was left behind."""
    return decide(KEYS, record, held, Choice(NOBODY, joins=True), NOW_S, damaged=damaged).outcome


def test_of_two_sides_tombstones_and_the_stricter_state_win_and_nothing_comes_back(make_record: Make) -> None:
    record = make_record()
    gone, off = tombstone(record, b"x"), next_record(record, enabled=False, changes=(b"1",))
    relabelled = next_record(record, label="here", changes=(b"2",))
    assert joining(record, None) is Outcome.MADE
    assert joining(gone, None) is Outcome.BURIED
    assert joining(make_record(destroy_at=int(NOW_S)), None) is Outcome.BURIED
    assert joining(record, record) is Outcome.THERE
    assert joining(gone, gone) is Outcome.THERE
    assert joining(record, gone) is Outcome.DESTROYED_SINCE
    assert joining(gone, record) is Outcome.DESTROYED
    assert joining(off, record) is Outcome.JOINED
    assert joining(record, off) is Outcome.THERE, "an older state says nothing"
    assert joining(next_record(record, label="there", changes=(b"1",)), relabelled) is Outcome.CONFLICT
    assert joining(make_record(created=1001), record) is Outcome.OTHER
    assert joining(tombstone(make_record(created=1001), b""), record) is Outcome.OTHER
    for there in (record, gone):
        assert joining(there, None, damaged=True) is Outcome.DAMAGED


def test_what_is_written_counts_as_newer_than_on_either_side(make_record: Make) -> None:
    record = make_record(version=4, sequence=9)
    made = joined(KEYS, record, None, Outcome.MADE, NOW_S)
    assert (made.order, made.wrapped) == (10, record.wrapped)
    held = make_record()
    ended = joined(KEYS, tombstone(record, b""), held, Outcome.DESTROYED, NOW_S)
    assert (ended.destroyed, ended.wrapped, ended.order > 10) == (True, b"", True)
    buried = joined(KEYS, tombstone(record, b""), None, Outcome.BURIED, NOW_S)
    assert (buried.destroyed, buried.order) == (True, 11)
    off = next_record(record, enabled=False, changes=(b"1",))
    stricter = joined(KEYS, off, held, Outcome.JOINED, NOW_S)
    assert (stricter.enabled, stricter.order > off.order) == (False, True)
