from collections.abc import Callable

import msgspec
import pytest

from hsm_node.core.envelopes import Reason, RecordError, seal_envelope
from hsm_node.core.keyring import Keyring, KeyringError
from hsm_node.core.records import (
    CLEAR_FORMAT,
    PREFIXES,
    RECORD_FORMAT,
    Record,
    key_info,
    next_record,
    open_record,
    resealed_record,
    rewritten_record,
    seal_record,
)
from hsm_node.core.resealing import sealed_version
from hsm_wire.messages import Policy

Make = Callable[..., Record]


def opened(data: bytes, keyring: Keyring, key_id: bytes = b"k" * 16) -> Record:
    return open_record(data, keyring.name(1, key_id), b"c" * 16, keyring)


def in_clear(body: bytes, keyring: Keyring) -> bytes:
    """Return a row of format 1."""
    return msgspec.msgpack.encode([CLEAR_FORMAT, body, keyring.mac(PREFIXES[CLEAR_FORMAT] + body)])


def test_a_sealed_record_opens_as_it_was(keyring: Keyring, make_record: Make) -> None:
    record = make_record(changes=(b"1" * 16,))
    assert opened(seal_record(record, keyring), keyring) == record


def test_every_changed_byte_is_refused(keyring: Keyring, make_record: Make) -> None:
    data = seal_record(make_record(), keyring)
    for index in range(len(data)):
        with pytest.raises(RecordError):
            opened(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :], keyring)


def test_a_moved_record_is_refused(keyring: Keyring, make_record: Make) -> None:
    with pytest.raises(RecordError, match="moved"):
        opened(seal_record(make_record(), keyring), keyring, b"x" * 16)


def test_a_record_of_another_cluster_is_refused(keyring: Keyring, make_record: Make) -> None:
    with pytest.raises(RecordError, match="another cluster"):
        opened(seal_record(make_record(cluster_id=b"z" * 16), keyring), keyring)


def test_a_record_of_another_master_key_is_refused(keyring: Keyring, other_keyring: Keyring, make_record: Make) -> None:
    with pytest.raises(RecordError, match="another master key"):
        opened(seal_record(make_record(), other_keyring), keyring)


def test_a_newer_format_is_refused(keyring: Keyring) -> None:
    with pytest.raises(RecordError, match="format 4") as refused:
        opened(msgspec.msgpack.encode([4, b"", b""]), keyring)
    assert refused.value.reason is Reason.FORMAT


def test_an_authentic_body_that_is_no_record_is_refused(keyring: Keyring) -> None:
    for body in (msgspec.msgpack.encode([1]), b""):
        with pytest.raises(RecordError, match="fields"):
            opened(in_clear(body, keyring), keyring)
        for encrypted in (keyring.encrypt(body), body):
            data = [RECORD_FORMAT, encrypted, keyring.mac(PREFIXES[RECORD_FORMAT] + encrypted)]
            with pytest.raises(RecordError, match="fields"):
                opened(msgspec.msgpack.encode(data), keyring)


def test_key_info_and_repr_show_no_material(make_record: Make) -> None:
    record = make_record()
    assert key_info(record).label == "label"
    assert "wrapped" not in repr(record)


@pytest.mark.parametrize("partition", [-1, 1 << 40])
def test_an_authentic_record_of_an_impossible_partition_is_refused(
    keyring: Keyring, make_record: Make, partition: int
) -> None:
    with pytest.raises(RecordError, match="fields"):
        opened(seal_record(make_record(partition=partition), keyring), keyring)


def test_an_authentic_record_with_text_that_is_not_utf8_is_refused(keyring: Keyring, make_record: Make) -> None:
    body = msgspec.msgpack.encode(make_record()).replace(b"label", b"lab\xff\xff")
    with pytest.raises(RecordError, match="fields"):
        opened(in_clear(body, keyring), keyring)


def test_a_record_of_format_1_is_read_and_written_again_as_format_3(keyring: Keyring, make_record: Make) -> None:
    record = make_record()
    old = msgspec.structs.astuple(record)[: Record.__struct_fields__.index("sequence")]
    read = opened(in_clear(msgspec.msgpack.encode(old), keyring), keyring)
    assert (read, read.order) == (record, record.version)
    assert msgspec.msgpack.decode(seal_record(read, keyring))[0] == RECORD_FORMAT


def test_a_record_of_before_uses_were_counted_is_read(keyring: Keyring, make_record: Make) -> None:
    record = make_record(sequence=7, answer=b"a")
    old = msgspec.structs.astuple(record)[: Record.__struct_fields__.index("uses")]
    body = keyring.encrypt(msgspec.msgpack.encode(old))
    data = seal_envelope(RECORD_FORMAT, PREFIXES[RECORD_FORMAT], body, keyring)
    assert opened(data, keyring) == record
    assert (record.uses, record.use_marks, record.gcm_leased) == (0, (), 0)


def test_nothing_of_a_sealed_record_can_be_read_and_it_looks_different_each_time(
    keyring: Keyring, make_record: Make
) -> None:
    record = make_record(label="card-issuing root", public_key=b"p" * 91, creation_digest=b"d" * 32)
    one, two = seal_record(record, keyring), seal_record(record, keyring)
    assert one != two
    for secret in (b"card-issuing", b"p" * 16, b"d" * 16, b"k" * 16, b"hmac-256", record.wrapped):
        assert secret not in one


def test_changes_count_up_seen_by_the_owner_or_not(make_record: Make) -> None:
    record = make_record(version=3)
    changed = next_record(record, label="new")
    again = rewritten_record(changed, wrapped=b"w")
    assert [(one.version, one.order) for one in (record, changed, again)] == [(3, 3), (4, 4), (4, 5)]
    assert (changed.label, again.label, again.wrapped) == ("new", "new", b"w")
    assert next_record(again).order == 6


def test_a_record_opens_under_either_master_key_and_says_which(keyring: Keyring, make_record: Make) -> None:
    record = make_record()
    old = seal_record(record, keyring)
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    new = seal_record(record, keyring)
    assert opened(old, keyring) == record
    assert (sealed_version(old, keyring), sealed_version(new, keyring)) == (1, 2)
    assert keyring.unwrap(record.wrapped, 32, record.master_key_version) == b"m" * 32
    keyring.drop(1)
    with pytest.raises(RecordError, match="another master key"):
        opened(old, keyring)
    with pytest.raises(KeyringError, match="version 1 is not held"):
        keyring.unwrap(record.wrapped, 32, record.master_key_version)
    after = opened(new, keyring)
    assert keyring.unwrap(after.wrapped, 32, after.master_key_version) == b"m" * 32
    assert msgspec.structs.replace(after, wrapped=record.wrapped, master_key_version=1) == record


def test_a_record_that_is_sealed_once_more_is_the_same_key_written_later(keyring: Keyring, make_record: Make) -> None:
    record = make_record()
    grave = make_record(destroyed=True, wrapped=b"", true_length=0)
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    again, buried = (opened(resealed_record(each, keyring), keyring) for each in (record, grave))
    assert (again.version, again.order, again.master_key_version) == (1, 2, 2)
    assert (buried.order, buried.wrapped) == (2, b"")
    keyring.drop(1)
    assert keyring.unwrap(again.wrapped, 32) == b"m" * 32


def test_the_owner_sees_how_often_a_limited_key_was_used_and_not_by_whom(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=9), uses=4, use_marks=(b"u" * 16,), gcm_leased=1 << 16)
    assert key_info(record).uses == 4
    assert b"u" * 16 not in msgspec.msgpack.encode(key_info(record))


def test_the_owner_sees_when_a_key_ends_and_what_it_was_rotated_to(make_record: Make) -> None:
    info = key_info(make_record(destroy_at=7, replaces=b"a" * 16, replaced_by=b"b" * 16, answer=b"secret"))
    assert (info.destroy_at, info.replaces, info.replaced_by) == (7, b"a" * 16, b"b" * 16)
