from collections.abc import Callable

import msgspec
import pytest

from hsm_node.core.lifecycle import (
    Creating,
    Origin,
    WrappedKey,
    check_new_key,
    destroyed_record,
    new_record,
    replaced_record,
    rotated_key,
    tombstone,
    updated_record,
)
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.forms import NIL_PARAMETERS as NIL
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.messages import (
    Decapsulate,
    Derive,
    Encapsulate,
    GenerateKey,
    ImportKey,
    Policy,
    UnwrapKey,
    UpdateKey,
)
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

Make = Callable[..., Record]
ID, OTHER = b"k" * 16, b"o" * 16
TYPES = {"ec-p256"}


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (GenerateKey(ID, "rot13"), Status.BAD_REQUEST),
        (GenerateKey(ID, "ml-dsa-65"), Status.MECHANISM_NOT_HERE),
        (GenerateKey(ID, "ec-p256", usage=0x10), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", "a\x1b[31mred"), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", "two\nlines"), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", "left\u202eright"), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", policy=Policy(flags=0x80)), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", policy=Policy(mechanisms=[9999])), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", policy=Policy(not_before=5, not_after=4)), Status.BAD_REQUEST),
    ],
)
def test_a_key_that_would_not_be_what_was_asked_for_is_refused(request_: GenerateKey, status: Status) -> None:
    with pytest.raises(Refusal) as refused:
        check_new_key(request_, TYPES)
    assert refused.value.status is status


@pytest.mark.parametrize(
    "request_",
    [GenerateKey(ID, "aes-256", usage=0x18), GenerateKey(ID, "aes-256", usage=0x10, policy=Policy(flags=1))],
    ids=["wraps and decrypts", "wraps and leaves"],
)
def test_usages_and_policies_that_give_keys_out_together_are_refused(request_: GenerateKey) -> None:
    with pytest.raises(Refusal) as refused:
        check_new_key(request_, {"aes-256"})
    assert refused.value.status is Status.BAD_REQUEST


def test_who_would_add_a_usage_is_told_by_name_what_the_key_has(make_record: Make) -> None:
    record = make_record(usage=int(Usage.SIGN | Usage.VERIFY))
    with pytest.raises(Refusal, match="the key has sign verify$"):
        updated_record(record, UpdateKey(ID, usage=int(Usage.DECRYPT)), b"")


def test_a_label_in_any_language_is_taken_also_in_a_change(make_record: Make) -> None:
    check_new_key(GenerateKey(ID, "ec-p256", "Zürich – 東京 🔑"), TYPES)
    assert updated_record(make_record(), UpdateKey(ID, label="Genève"), b"").label == "Genève"
    with pytest.raises(Refusal, match="control"):
        updated_record(make_record(), UpdateKey(ID, label="bell\a"), b"")


MADE = WrappedKey(b"w", 1, b"p")
WHERE = Origin(b"c" * 16, 3, 1, 99)


@pytest.mark.parametrize(
    ("request_", "origin"),
    [
        (GenerateKey(ID, "aes-256"), "generated"),
        (ImportKey(ID, "aes-256", b""), "imported"),
        (UnwrapKey(OTHER, 1, NIL, b"", ID, "aes-256"), "unwrapped"),
        (Derive(OTHER, 1, NIL, ID, "aes-256"), "derived"),
        (Encapsulate(OTHER, 1, NIL, ID, "aes-256"), "derived"),
        (Decapsulate(OTHER, 1, NIL, b"", ID, "aes-256"), "derived"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_new_record_has_its_own_id_the_types_default_usage_and_version_one(request_: Creating, origin: str) -> None:
    wanted = check_new_key(request_, {"aes-256"})
    record = new_record(wanted, MADE, WHERE, b"d", answer=b"a")
    assert (record.key_id, record.version, record.sequence, record.origin, record.epoch) == (ID, 1, 1, origin, 3)
    assert (record.usage, record.answer) == (int(KEY_TYPES["aes-256"].default_usages), b"a")


@pytest.mark.parametrize("usage", [Usage.WRAP, Usage.UNWRAP])
def test_an_unwrapped_or_derived_key_wraps_no_others(usage: Usage) -> None:
    for request in (
        UnwrapKey(OTHER, 1, NIL, b"", ID, "aes-256", usage=int(usage)),
        Derive(OTHER, 1, NIL, ID, "aes-256", usage=int(usage)),
        Encapsulate(OTHER, 1, NIL, ID, "aes-256", usage=int(usage)),
        Decapsulate(OTHER, 1, NIL, b"", ID, "aes-256", usage=int(usage)),
    ):
        with pytest.raises(Refusal, match="unwrapped|derived"):
            check_new_key(request, {"aes-256"})


def test_a_rotated_key_hands_everything_but_its_material_on(make_record: Make) -> None:
    old = make_record(label="tls", policy=Policy(max_uses=9), usage=int(Usage.SIGN | Usage.VERIFY), uses=5)
    wanted = rotated_key(old, OTHER)
    assert new_record(wanted, MADE, WHERE, b"d").uses == 0, "the new key counts anew"
    assert (wanted.label, wanted.usage, wanted.policy, wanted.key_type.name) == ("tls", 3, old.policy, old.key_type)
    after = replaced_record(old, OTHER, b"m")
    assert (after.usage, after.replaced_by, after.version) == (int(Usage.VERIFY), OTHER, old.version + 1)
    with pytest.raises(Refusal, match=OTHER.hex()) as refused:
        replaced_record(after, b"x" * 16, b"n")
    assert refused.value.status is Status.KEY_CHANGED


def test_a_key_is_destroyed_at_once_where_nobody_wants_to_wait(make_record: Make) -> None:
    assert destroyed_record(make_record(), 0, 1000.5, b"m").destroyed


@pytest.mark.parametrize(("wait_s", "policy_s", "at"), [(60, 0, 1060), (0, 60, 1060), (60, 90, 1090), (90, 60, 1090)])
def test_a_destruction_waits_as_long_as_caller_and_policy_want(
    make_record: Make, wait_s: int, policy_s: int, at: int
) -> None:
    record = make_record(policy=Policy(destruction_wait_s=policy_s))
    waiting = destroyed_record(record, wait_s, 1000.5, b"m")
    assert (waiting.destroyed, waiting.enabled, waiting.destroy_at, waiting.wrapped) == (
        False,
        False,
        at,
        record.wrapped,
    )
    assert destroyed_record(waiting, wait_s, 1001.0, b"n").destroy_at == at, "asked again, it comes no later"
    assert destroyed_record(waiting, wait_s, float(at), b"").destroyed
    revoked = updated_record(waiting, UpdateKey(ID, enabled=True), b"o")
    assert (revoked.enabled, revoked.destroy_at) == (True, 0)
    assert updated_record(waiting, UpdateKey(ID, label="still"), b"o").destroy_at == at


def test_an_update_changes_what_it_names_and_counts_the_version(make_record: Make) -> None:
    record = updated_record(make_record(), UpdateKey(ID, 1, label="new", usage=1, policy=Policy(not_after=9)), b"m")
    assert (record.label, record.usage, record.enabled, record.version, record.changes) == ("new", 1, True, 2, (b"m",))
    assert not updated_record(record, UpdateKey(ID, enabled=False), b"").enabled


@pytest.mark.parametrize(
    ("update", "status"),
    [
        (UpdateKey(ID, 7), Status.KEY_CHANGED),
        (UpdateKey(ID, usage=4), Status.BAD_REQUEST),
        (UpdateKey(ID, policy=Policy(flags=2)), Status.BAD_REQUEST),
    ],
)
def test_an_update_gives_no_new_rights(make_record: Make, update: UpdateKey, status: Status) -> None:
    with pytest.raises(Refusal) as refused:
        updated_record(make_record(), update, b"")
    assert refused.value.status is status


def test_a_key_takes_a_limit_of_uses_at_its_making_or_later_and_keeps_what_was_counted(make_record: Make) -> None:
    assert check_new_key(GenerateKey(ID, "ec-p256", policy=Policy(max_uses=1)), TYPES).policy.max_uses == 1
    limited = updated_record(make_record(), UpdateKey(ID, policy=Policy(max_uses=9)), b"m")
    used = msgspec.structs.replace(limited, uses=4, use_marks=(b"u",))
    lower = updated_record(used, UpdateKey(ID, policy=Policy(max_uses=3)), b"n")
    assert (lower.policy.max_uses, lower.uses, lower.use_marks) == (3, 4, (b"u",))
    for wider in (0, 10):
        with pytest.raises(Refusal, match="max_uses may only shrink"):
            updated_record(used, UpdateKey(ID, policy=Policy(max_uses=wider)), b"n")


def test_a_tombstone_keeps_the_id_and_loses_the_material(make_record: Make) -> None:
    record = tombstone(make_record(use_marks=(b"u",)), b"m")
    assert record.use_marks == ()
    assert (record.destroyed, record.enabled, record.wrapped, record.key_id) == (True, False, b"", ID)


def test_only_the_last_eight_changes_are_remembered(make_record: Make) -> None:
    record = make_record()
    for number in range(10):
        record = updated_record(record, UpdateKey(ID, enabled=True), bytes([number]))
    assert record.changes == tuple(bytes([number]) for number in range(2, 10))
