"""What stands in etcd in the place of the check record while rows are brought there.

It has the form of a check record of a schema that no node knows, so a node that finds it does not take it for a store.
Each run has its own: what an earlier run, or one somewhere else, still tries to write is refused.
"""

from typing import Annotated, Final

import msgspec

from hsm_node.store.check_record import CLUSTER_ID_BYTES

MARK_SCHEMA: Final = 1 << 20
"""Above every version of the schema that there will be."""
RUN_BYTES: Final = 16
_Id = Annotated[bytes, msgspec.Meta(min_length=CLUSTER_ID_BYTES, max_length=CLUSTER_ID_BYTES)]


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A migration that has not ended."""

    cluster_id: _Id
    """Of the store that is moved."""
    revision: Annotated[int, msgspec.Meta(ge=0)]
    """The last one that its file had given out: an older copy of it does not go on."""
    run: Annotated[bytes, msgspec.Meta(min_length=RUN_BYTES, max_length=RUN_BYTES)]


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    migration: Mark


def encoded(mark: Mark) -> bytes:
    """Return what is stored of it."""
    return msgspec.msgpack.encode(_Kept(MARK_SCHEMA, mark))


def maybe_mark(value: bytes) -> Mark | None:
    """Return the mark; None: it is something else."""
    try:
        kept = msgspec.msgpack.decode(value, type=_Kept)
    except msgspec.DecodeError:
        return None
    return kept.migration if kept.schema == MARK_SCHEMA else None
