"""Requests of etcd, and what their answers mean.

Keys: one of the check record, one for each row under a prefix, and under another one what nodes tell each other.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from hsm_node.core.statements import CONFIRMED, NODES, OUT, WANTED, Told
from hsm_node.store.base import Row
from hsm_node.store.etcd.messages_pb2 import (
    Compare,
    DeleteRequest,
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
TOLD_PREFIX: Final = PREFIX + b"told/"
"""What nodes tell each other: `statements` has the paths behind it."""
TOLD_END: Final = TOLD_PREFIX[:-1] + bytes([TOLD_PREFIX[-1] + 1])
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


def told_key(path: str) -> bytes:
    """Return the key of what nodes tell each other."""
    return TOLD_PREFIX + path.encode()


def told_of(key: bytes, revision: int, data: bytes | None) -> Told | None:
    """Return what a node has told; None: it is something else."""
    if not key.startswith(TOLD_PREFIX):
        return None
    return Told(key[len(TOLD_PREFIX) :].decode(errors="replace"), revision, data)


def page(after: bytes, revision: int, limit: int) -> RangeRequest:
    """Return the request of the rows behind a key (empty: from the first on), as of a revision (0: now)."""
    first = after + b"\x00" if after else ROW_PREFIX
    return RangeRequest(key=first, range_end=ROWS_END, limit=limit, revision=revision)


def get(key: bytes) -> RangeRequest:
    """Return the request of one key, as of now."""
    return RangeRequest(key=key)


def all_told(revision: int = 0) -> RangeRequest:
    """Return the request of all that nodes have told, as of a revision (0: now)."""
    return RangeRequest(key=TOLD_PREFIX, range_end=TOLD_END, revision=revision)


def told_by(answer: RangeResponse) -> list[Told]:
    """Return what an answer to `all_told` says."""
    found = [told_of(pair.key, pair.mod_revision, pair.value) for pair in answer.kvs]
    return [told for told in found if told is not None]


def put_told(
    path: str, data: bytes, *, value: Mapping[bytes, bytes] | None = None, revision: Mapping[bytes, int] | None = None
) -> TxnRequest:
    """Return the request to tell something, where what it stands on is as expected.

    Args:
        path: of the row.
        data: of the row.
        value: keys and what they must have.
        revision: keys and the revisions at which they must be (0: absent).
    """
    compares = [_at(key, number) for key, number in (revision or {}).items()]
    compares += [_has(key, wanted) for key, wanted in (value or {}).items()]
    return TxnRequest(compare=compares, success=[RequestOp(put=PutRequest(key=told_key(path), value=data))])


def deletion(key: bytes, revision: int) -> TxnRequest:
    """Return the request to delete a pair that is still at that revision."""
    return TxnRequest(compare=[_at(key, revision)], success=[RequestOp(delete=DeleteRequest(key=key))])


def promotion(value: bytes, before: bytes, gone: Iterable[str]) -> TxnRequest:
    """Return the request of another check record in the place of the one before; what these nodes have told goes."""
    paths = [kind + name for name in gone for kind in (NODES, CONFIRMED, OUT)]
    done = [RequestOp(put=PutRequest(key=CHECK_KEY, value=value))]
    done += [RequestOp(delete=DeleteRequest(key=told_key(path))) for path in paths]
    return TxnRequest(compare=[_has(CHECK_KEY, before)], success=done)


def removal(revisions: Mapping[bytes, int], *more: bytes) -> TxnRequest:
    """Return the request to delete pairs that are still at those revisions, and more; else the first one is read."""
    first = next(iter(revisions))
    return TxnRequest(
        compare=[_at(key, revision) for key, revision in revisions.items()],
        success=[RequestOp(delete=DeleteRequest(key=each)) for each in dict.fromkeys((*revisions, *more))],
        failure=[RequestOp(range=get(first))],
    )


def reading(*keys: bytes) -> TxnRequest:
    """Return the request of several keys, all as of now."""
    return TxnRequest(success=[RequestOp(range=get(key)) for key in keys])


def asking(wanted: bytes) -> TxnRequest:
    """Return the request that has every node confirm and reads what they have told; `wanted` is the row for that."""
    return TxnRequest(success=_asked(wanted))


def watch(revision: int) -> WatchRequest:
    """Return the request of everything that happens from that revision on."""
    return WatchRequest(create=WatchCreateRequest(key=EVERYTHING, range_end=EVERYTHING, start_revision=revision))


def put(
    key: bytes,
    value: bytes | None,
    unchanged: Mapping[bytes, int],
    check: bytes | None = None,
    *,
    asks: bytes = b"",
) -> TxnRequest:
    """Return the request of a put where what it stands on is as expected; else the key and the check record are read.

    Args:
        key: of the pair.
        value: of the pair; None: nothing is put, and the answer says whether all is as expected.
        unchanged: keys and the revisions at which they must be (0: absent).
        check: what the check record must be, so that nothing is put into another store; None: any.
        asks: the row that has every node confirm it; what they have told is read then, whether it is put or not. Empty:
            nobody is asked.
    """
    compares = [_at(compared, revision) for compared, revision in unchanged.items()]
    if check is not None:
        compares.append(_has(CHECK_KEY, check))
    done = RequestOp(range=get(key)) if value is None else RequestOp(put=PutRequest(key=key, value=value))
    read = [RequestOp(range=get(key)), RequestOp(range=get(CHECK_KEY))]
    if not asks:
        return TxnRequest(compare=compares, success=[done], failure=read)
    return TxnRequest(compare=compares, success=[done, *_asked(asks)], failure=[*read, *_asked(asks)])


def told_in(answer: TxnResponse) -> list[Told]:
    """Return what nodes had told when a transaction that asks them was made."""
    return told_by(answer.responses[-1].range)


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


def _asked(wanted: bytes) -> list[RequestOp]:
    return [RequestOp(put=PutRequest(key=told_key(WANTED), value=wanted)), RequestOp(range=all_told())]


def _at(key: bytes, revision: int) -> Compare:
    return Compare(result=Compare.EQUAL, target=Compare.MOD, key=key, mod_revision=revision)


def _has(key: bytes, value: bytes) -> Compare:
    return Compare(result=Compare.EQUAL, target=Compare.VALUE, key=key, value=value)


def only(answer: RangeResponse) -> KeyValue | None:
    """Return the pair of a `get`; None: there is none."""
    return answer.kvs[0] if answer.kvs else None
