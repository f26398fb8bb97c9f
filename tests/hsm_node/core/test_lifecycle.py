from collections.abc import Callable

import pytest

from hsm_node.core.lifecycle import Origin, WrappedKey, check_new_key, new_record, tombstone, updated_record
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.key_types import KEY_TYPES
from hsm_wire.messages import GenerateKey, ImportKey, Policy, UpdateKey
from hsm_wire.statuses import Status

Make = Callable[..., Record]
ID = b"k" * 16
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
        (GenerateKey(ID, "ec-p256", policy=Policy(max_uses=1)), Status.BAD_REQUEST),
        (GenerateKey(ID, "ec-p256", policy=Policy(destruction_wait_s=1)), Status.BAD_REQUEST),
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


def test_a_label_in_any_language_is_taken_also_in_a_change(make_record: Make) -> None:
    check_new_key(GenerateKey(ID, "ec-p256", "Zürich – 東京 🔑"), TYPES)
    assert updated_record(make_record(), UpdateKey(ID, label="Genève"), b"").label == "Genève"
    with pytest.raises(Refusal, match="control"):
        updated_record(make_record(), UpdateKey(ID, label="bell\a"), b"")


def test_a_new_record_has_the_types_default_usage_and_version_one() -> None:
    for request, origin in ((GenerateKey(ID, "ec-p256"), "generated"), (ImportKey(ID, "ec-p256", b""), "imported")):
        key_type = check_new_key(request, TYPES)
        record = new_record(request, key_type, WrappedKey(b"w", 1, b"p"), Origin(b"c" * 16, 3, 1, 99), b"d")
        assert (record.version, record.usage, record.origin, record.epoch) == (
            1,
            int(key_type.default_usages),
            origin,
            3,
        )
    assert key_type is KEY_TYPES["ec-p256"]


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


def test_a_tombstone_keeps_the_id_and_loses_the_material(make_record: Make) -> None:
    record = tombstone(make_record(), b"m")
    assert (record.destroyed, record.enabled, record.wrapped, record.key_id) == (True, False, b"", ID)


def test_only_the_last_eight_changes_are_remembered(make_record: Make) -> None:
    record = make_record()
    for number in range(10):
        record = updated_record(record, UpdateKey(ID, enabled=True), bytes([number]))
    assert record.changes == tuple(bytes([number]) for number in range(2, 10))
