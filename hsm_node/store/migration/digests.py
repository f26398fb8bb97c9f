"""What rows are compared by: a digest of each, and one of all of them, whatever their revisions."""

import hashlib
from collections.abc import Iterable, Mapping

from hsm_node.store.base import Row


def digest_of(data: bytes) -> bytes:
    """Return what stands for a row's content."""
    return hashlib.sha256(data).digest()


def digests_of(rows: Iterable[Row]) -> dict[bytes, bytes]:
    """Return what stands for each row, by its name."""
    return {row.name: digest_of(row.data) for row in rows}


def digest_of_all(digests: Mapping[bytes, bytes]) -> str:
    """Return what stands for all rows."""
    whole = hashlib.sha256()
    for name in sorted(digests):
        whole.update(len(name).to_bytes(4, "big") + name + digests[name])
    return whole.hexdigest()


def differences(one: Mapping[bytes, bytes], other: Mapping[bytes, bytes]) -> int:
    """Return how many rows only one of them has, or each has differently."""
    return sum(one.get(name) != other.get(name) for name in {*one, *other})
