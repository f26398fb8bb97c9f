"""Sealed objects."""

import msgspec
import pytest

from hsm_node.core.envelopes import Reason, RecordError, open_envelope
from hsm_node.core.keyring import Keyring
from hsm_node.core.object_records import (
    OBJECT_FORMAT,
    PREFIX,
    ObjectRecord,
    next_object,
    open_object,
    resealed_object,
    seal_object,
)
from hsm_node.core.records import open_record

CLUSTER = b"c" * 16


def make(**changes: object) -> ObjectRecord:
    record = ObjectRecord(
        cluster_id=CLUSTER,
        partition=1,
        object_id=b"o" * 16,
        version=1,
        order=1,
        epoch=1,
        kind="data",
        label="a label that nobody may read",
        value=b"a value that nobody may read",
        destroyed=False,
        created=1000,
        creation_digest=b"d" * 32,
        changes=(),
    )
    return msgspec.structs.replace(record, **changes)


def opened(data: bytes, keyring: Keyring, object_id: bytes = b"o" * 16, partition: int = 1) -> ObjectRecord:
    return open_object(data, keyring.object_name(partition, object_id), CLUSTER, keyring)


def sealed_body(body: bytes, keyring: Keyring) -> bytes:
    """Return a row whose MAC is right, whatever is in it."""
    return msgspec.msgpack.encode([OBJECT_FORMAT, body, keyring.mac(PREFIX + body)])


def test_a_sealed_object_opens_as_it_was(keyring: Keyring) -> None:
    record = make(changes=(b"1" * 16,))
    assert opened(seal_object(record, keyring), keyring) == record
    assert (record.place, record.info.object_id) == ((1, b"o" * 16), b"o" * 16)


def test_every_changed_byte_is_refused(keyring: Keyring) -> None:
    data = seal_object(make(), keyring)
    for index in range(len(data)):
        with pytest.raises(RecordError):
            opened(data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :], keyring)


@pytest.mark.parametrize(("object_id", "partition"), [(b"x" * 16, 1), (b"o" * 16, 2)])
def test_a_moved_object_is_refused(keyring: Keyring, object_id: bytes, partition: int) -> None:
    with pytest.raises(RecordError) as refused:
        opened(seal_object(make(), keyring), keyring, object_id, partition)
    assert refused.value.reason is Reason.MOVED


@pytest.mark.parametrize("cluster", [b"z" * 16, b""])
def test_an_object_of_another_cluster_is_refused(keyring: Keyring, cluster: bytes) -> None:
    with pytest.raises(RecordError) as refused:
        opened(seal_object(make(cluster_id=cluster), keyring), keyring)
    assert refused.value.reason is Reason.CLUSTER


def test_an_object_of_another_master_key_is_refused(keyring: Keyring, other_keyring: Keyring) -> None:
    with pytest.raises(RecordError, match="another master key"):
        opened(seal_object(make(), other_keyring), keyring)


@pytest.mark.parametrize("body", [b"", b"\x90", msgspec.msgpack.encode(["text"]), bytes(100)])
def test_an_authentic_body_that_is_no_object_is_refused(keyring: Keyring, body: bytes) -> None:
    for row in (sealed_body(body, keyring), sealed_body(keyring.encrypt(body), keyring)):
        with pytest.raises(RecordError) as refused:
            opened(row, keyring)
        assert refused.value.reason is Reason.MALFORMED


@pytest.mark.parametrize("changes", [{"partition": -1}, {"partition": 1 << 40}])
def test_an_authentic_object_of_an_impossible_partition_is_refused(keyring: Keyring, changes: dict[str, int]) -> None:
    with pytest.raises(RecordError, match="fields"):
        opened(seal_object(make(**changes), keyring), keyring)


def test_an_object_is_never_opened_as_a_key_nor_a_keys_format_put_on_it(keyring: Keyring) -> None:
    data = seal_object(make(), keyring)
    with pytest.raises(RecordError) as refused:
        open_record(data, keyring.name(1, b"o" * 16), CLUSTER, keyring)
    assert refused.value.reason is Reason.FORMAT
    _, body, mac = msgspec.msgpack.decode(data)
    with pytest.raises(RecordError) as refused:
        open_record(msgspec.msgpack.encode([3, body, mac]), keyring.name(1, b"o" * 16), CLUSTER, keyring)
    assert refused.value.reason is Reason.CHANGED


def test_an_objects_name_is_no_keys_and_no_nodes(keyring: Keyring) -> None:
    place = (1, b"o" * 16)
    # The id that would make a key's message out of an object's has another length than ids have.
    longer = b"redoubt object " + (1).to_bytes(4, "big") + b"o" * 16
    assert keyring.object_name(*place) == keyring.name(int.from_bytes(longer[:4], "big"), longer[4:])
    assert len(longer[4:]) > 16
    assert len({keyring.object_name(*place), keyring.name(*place), keyring.node_name("node-1")}) == 3


def test_nothing_of_a_sealed_object_can_be_read_and_it_looks_different_each_time(keyring: Keyring) -> None:
    one, two = seal_object(make(), keyring), seal_object(make(), keyring)
    assert one != two
    for text in (b"nobody may", b"o" * 16, b"d" * 16, b"data"):
        assert text not in one


def test_a_change_counts_and_a_new_master_key_is_none(keyring: Keyring) -> None:
    record = next_object(make(), label="new")
    assert (record.version, record.order, record.label) == (2, 2, "new")
    keyring.hold(b"n" * 32, 2)
    keyring.use(2)
    data = resealed_object(record, keyring)
    assert open_envelope({OBJECT_FORMAT: PREFIX}, data, keyring).version == 2
    again = opened(data, keyring)
    assert (again.version, again.order) == (2, 3)
    assert msgspec.structs.replace(again, order=2) == record


def test_the_repr_shows_no_value_and_no_label() -> None:
    assert "nobody" not in repr(make())
