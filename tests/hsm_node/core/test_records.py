from collections.abc import Callable

import msgspec
import pytest

from hsm_node.core.keyring import Keyring
from hsm_node.core.records import Record, RecordError, key_info, open_record, seal_record

Make = Callable[..., Record]


def opened(data: bytes, keyring: Keyring, key_id: bytes = b"k" * 16) -> Record:
    return open_record(data, keyring.name(1, key_id), b"c" * 16, keyring)


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
    with pytest.raises(RecordError, match="format 2"):
        opened(msgspec.msgpack.encode([2, b"", b""]), keyring)


def test_an_authentic_body_that_is_no_record_is_refused(keyring: Keyring) -> None:
    body = msgspec.msgpack.encode([1])
    data = msgspec.msgpack.encode([1, body, keyring.mac(b"redoubt record\x01" + body)])
    with pytest.raises(RecordError, match="fields"):
        opened(data, keyring)


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
    data = msgspec.msgpack.encode([1, body, keyring.mac(b"redoubt record\x01" + body)])
    with pytest.raises(RecordError, match="fields"):
        opened(data, keyring)
