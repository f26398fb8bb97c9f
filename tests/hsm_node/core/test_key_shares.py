"""How many keys a partition may have."""

from collections.abc import Callable

import pytest

from hsm_node.core.key_shares import KeyShares
from hsm_node.core.key_table import KeyTable
from hsm_node.core.object_shares import RETRY_AFTER_MS
from hsm_node.core.records import Record
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status


def shares(make: Callable[..., Record], keys: int, limit: int) -> KeyShares:
    table = KeyTable()
    for number in range(keys):
        table.apply(make(key_id=bytes([number]) * 16), number + 1)
    made = KeyShares(table)
    made.limits = {1: limit}
    return made


def test_keys_that_are_there_and_those_on_their_way_take_places(make_record: Callable[..., Record]) -> None:
    of = shares(make_record, 3, 5)
    with of.place(1) as first, of.place(1) as second, of.place(1) as third:
        first()
        second()
        with pytest.raises(Refusal, match="has its 5 keys") as caught:
            third()
        assert caught.value.status is Status.OVER_QUOTA
        assert (caught.value.not_executed, caught.value.retry_after_ms) == (True, RETRY_AFTER_MS)
    with of.place(1) as again:
        again()


def test_a_key_that_was_made_before_needs_no_place(make_record: Callable[..., Record]) -> None:
    with shares(make_record, 5, 5).place(1):
        pass


def test_a_partition_without_a_limit_has_none(make_record: Callable[..., Record]) -> None:
    of = shares(make_record, 5, 5)
    of.limits = {2: 1}
    with of.place(1) as take:
        take()
    with of.place(2) as take:
        take()
