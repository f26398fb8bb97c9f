"""What becomes of a key or an object that the side which was left behind has as well: the stricter of both (d5, d6 in
docs/consistency.md).

Theory. After a promotion two sides may have changed the same record apart. Each change has a mark, and a record keeps
the last ones. So a record whose marks the other one has, all of them, is an older state of that: it says nothing new,
and what was allowed again since stays so. One mark alone would say little: a client may have sent one operation to both
sides. What only one side changed, and what both changed, are told apart in the same way. A mark that was pushed out by
eight later changes makes a record look as if it was changed apart: then the stricter of both holds, the safe error.

What was joined has the marks of both, so that the same record that comes once more is an older state.
"""

from typing import Final, TypeVar

import msgspec

from hsm_node.core.object_records import ObjectRecord
from hsm_node.core.policies import stricter
from hsm_node.core.record_table import TableRecord
from hsm_node.core.records import KEPT_CHANGES, Record

R = TypeVar("R", Record, ObjectRecord)
_COUNTS: Final = ("uses", "gcm_leased")


def is_older(record: TableRecord, held: TableRecord) -> bool:
    """Whether everything that was done to `record` was done to `held` as well."""
    return record.version <= held.version and set(record.changes) <= set(held.changes)


def joined_key(record: Record, held: Record) -> Record:
    """Return the key with the stricter state of both; `held` itself where that is it."""
    counts = {name: max(getattr(record, name), getattr(held, name)) for name in _COUNTS}
    if is_older(record, held):
        return _changed(held, **counts)
    policy = stricter(held.policy, record.policy)
    return _changed(
        held,
        label=record.label if is_older(held, record) else held.label,
        usage=record.usage & held.usage,
        enabled=record.enabled and held.enabled and policy is not None,
        policy=held.policy if policy is None else policy,
        destroy_at=min(filter(None, (record.destroy_at, held.destroy_at)), default=0),
        replaced_by=held.replaced_by or record.replaced_by,
        changes=_marks(record, held),
        **counts,
    )


def joined_object(record: ObjectRecord, held: ObjectRecord) -> ObjectRecord:
    """Return the object as the side has it that alone has changed it; `held` itself where that is not the other one."""
    if is_older(record, held) or not is_older(held, record):
        return held
    return _changed(held, label=record.label, value=record.value, changes=_marks(record, held))


def _changed(held: R, **fields: object) -> R:
    """Return the record with these fields; itself where nothing but marks would change."""
    same = all(getattr(held, name) == value for name, value in fields.items() if name != "changes")
    return held if same else msgspec.structs.replace(held, **fields)


def _marks(record: TableRecord, held: TableRecord) -> tuple[bytes, ...]:
    news = tuple(mark for mark in record.changes if mark not in held.changes)
    return (*held.changes, *news)[-KEPT_CHANGES:]
