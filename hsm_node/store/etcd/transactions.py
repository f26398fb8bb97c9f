"""Requests of etcd, and what their answers mean. Keys: one of the check record, and one for each row under a prefix."""

from collections.abc import Mapping
from typing import Final

from hsm_node.store.base import Row
from hsm_node.store.etcd.messages_pb2 import (
    Compare,
    KeyValue,
    PutRequest,
    RangeRequest,
    RangeResponse,
    RequestOp,
    TxnRequest,
    TxnResponse,
    WatchCreateRequest,
    WatchRequest,
)

PREFIX: Final = b"redoubt/"
CHECK_KEY: Final = PREFIX + b"check"
ROW_PREFIX: Final = PREFIX + b"row/"
ROWS_END: Final = ROW_PREFIX[:-1] + bytes([ROW_PREFIX[-1] + 1])
EVERYTHING: Final = b"\x00"
"""As first key and as end of a range: the whole key space."""
MAX_COMPARES: Final = 127
"""etcd takes 128 operations in a transaction, and one of them is about the check record."""


def key_of(name: bytes) -> bytes:
    """Return the key under which the row of that name is."""
    return ROW_PREFIX + name


def name_of(key: bytes) -> bytes | None:
    """Return the name of the row under that key; None: it is none of a row."""
    return key[len(ROW_PREFIX) :] if key.startswith(ROW_PREFIX) else None


def row_of(pair: KeyValue) -> Row:
    """Return the row that a pair is."""
    return Row(name_of(pair.key) or b"", pair.mod_revision, pair.value)


def page(after: bytes, revision: int, limit: int) -> RangeRequest:
    """Return the request of the rows behind a key (empty: from the first on), as of a revision (0: now)."""
    first = after + b"\x00" if after else ROW_PREFIX
    return RangeRequest(key=first, range_end=ROWS_END, limit=limit, revision=revision)


def get(key: bytes) -> RangeRequest:
    """Return the request of one key, as of now."""
    return RangeRequest(key=key)


def watch(revision: int) -> WatchRequest:
    """Return the request of everything that happens from that revision on."""
    return WatchRequest(create=WatchCreateRequest(key=EVERYTHING, range_end=EVERYTHING, start_revision=revision))


def put(key: bytes, value: bytes | None, unchanged: Mapping[bytes, int], check: bytes | None = None) -> TxnRequest:
    """Return the request of a put where what it stands on is as expected; else the key and the check record are read.

    Args:
        key: of the pair.
        value: of the pair; None: nothing is put, and the answer says whether all is as expected.
        unchanged: keys and the revisions at which they must be (0: absent).
        check: what the check record must be, so that nothing is put into another store; None: any.
    """
    compares = [
        Compare(result=Compare.EQUAL, target=Compare.MOD, key=compared, mod_revision=revision)
        for compared, revision in unchanged.items()
    ]
    if check is not None:
        compares.append(Compare(result=Compare.EQUAL, target=Compare.VALUE, key=CHECK_KEY, value=check))
    done = RequestOp(range=get(key)) if value is None else RequestOp(put=PutRequest(key=key, value=value))
    read = [RequestOp(range=get(key)), RequestOp(range=get(CHECK_KEY))]
    return TxnRequest(compare=compares, success=[done], failure=read)


def written(answer: TxnResponse, name: bytes, data: bytes) -> Row | None:
    """Return the row that a `put` made or that one like it had made before; None: it was refused.

    The same bytes there are the same record: it is sealed with its own chance. So a put whose answer was lost finds
    itself when it is sent again.
    """
    if answer.succeeded:
        return Row(name, answer.header.revision, data)
    found = found_in(answer)
    return row_of(found) if found is not None and found.value == data else None


def found_in(answer: TxnResponse) -> KeyValue | None:
    """Return what was there instead when a `put` was refused; None: nothing."""
    return only(answer.responses[0].range) if answer.responses else None


def check_in(answer: TxnResponse) -> KeyValue | None:
    """Return the check record that was there when a `put` was refused; None: there was none."""
    return only(answer.responses[1].range) if len(answer.responses) > 1 else None


def only(answer: RangeResponse) -> KeyValue | None:
    """Return the pair of a `get`; None: there is none."""
    return answer.kvs[0] if answer.kvs else None
