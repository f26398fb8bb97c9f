import msgspec
import pytest

from hsm_node.store.base import StoreError
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import decoded
from hsm_node.store.migration.mark import MARK_SCHEMA, Mark, encoded, maybe_mark

MARK = Mark(b"c" * 16, 7, b"r" * 16)


def test_a_mark_is_read_as_it_was_written() -> None:
    assert maybe_mark(encoded(MARK)) == MARK


@pytest.mark.parametrize(
    "value",
    [b"", b"nonsense", msgspec.msgpack.encode({"schema": 2, "record": {}, "mac": b""}),
     msgspec.msgpack.encode({"schema": 2, "migration": MARK}), msgspec.msgpack.encode({"schema": MARK_SCHEMA})],
)  # fmt: skip
def test_what_is_no_mark_is_none(value: bytes) -> None:
    assert maybe_mark(value) is None


def test_no_node_takes_a_mark_for_a_check_record() -> None:
    with pytest.raises(StoreError, match="has not ended"):
        decoded(KeyValue(value=encoded(MARK)))
