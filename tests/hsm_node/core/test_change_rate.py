import re
from pathlib import Path

import pytest

from hsm_node.core.change_rate import ROW_BYTES, ChangeRate
from hsm_node.core.limits import DEFAULTS
from hsm_node.core.refusal import Refusal
from hsm_wire.statuses import Status

ONE, OTHER = 1, 2
NODES = 4
CHANGE_BYTES = 1_800
"""Of a member's file, until they are compacted: measured with rows of EC keys."""
ALERT = 0.6
"""Of the quota: the rule RedoubtStoreNearQuota."""
EXAMPLE = Path("deploy/examples/three-sites/etcd.yaml")


def test_above_the_rate_a_partition_is_refused_and_told_when_to_come_back() -> None:
    rate = ChangeRate(10.0, 3)
    for _ in range(3):
        rate.check(ONE, 100.0)
        rate.pay(ONE, 1, 100.0)
    with pytest.raises(Refusal, match="partition_changes_per_s") as refused:
        rate.check(ONE, 100.0)
    assert (refused.value.status, refused.value.not_executed) == (Status.OVER_QUOTA, True)
    assert 100 <= refused.value.retry_after_ms <= 101
    rate.check(ONE, 100.0 + refused.value.retry_after_ms / 1000)
    assert (rate.paid[ONE], rate.refused[ONE]) == (3, 1)


def test_each_partition_has_a_rate_of_its_own() -> None:
    rate = ChangeRate(10.0, 1)
    rate.pay(ONE, 1, 100.0)
    rate.check(OTHER, 100.0)
    with pytest.raises(Refusal):
        rate.check(ONE, 100.0)
    assert (rate.refused[ONE], rate.refused[OTHER]) == (1, 0)


@pytest.mark.parametrize(("row_bytes", "cost"), [(0, 1), (1, 1), (ROW_BYTES, 1), (ROW_BYTES + 1, 2), (65_536, 64)])
def test_a_row_costs_one_for_each_begun_kib(row_bytes: int, cost: int) -> None:
    rate = ChangeRate(1.0, 100)
    rate.pay(ONE, row_bytes, 100.0)
    assert rate.paid[ONE] == cost


def test_what_was_written_beyond_the_balance_is_owed() -> None:
    rate = ChangeRate(2.0, 4)
    rate.check(ONE, 100.0)
    rate.pay(ONE, 10 * ROW_BYTES, 100.0)  # 4 were there, 6 are owed
    with pytest.raises(Refusal) as refused:
        rate.check(ONE, 100.0)
    assert 3500 <= refused.value.retry_after_ms <= 3501
    with pytest.raises(Refusal):
        rate.check(ONE, 103.4)
    rate.check(ONE, 103.6)


def test_by_default_one_partition_does_not_bring_the_example_s_store_near_its_quota() -> None:
    text = EXAMPLE.read_text()
    hours = re.search(r"^auto-compaction-retention: (\d+)h$", text, re.MULTILINE)
    quota = re.search(r"^quota-backend-bytes: (\d+)$", text, re.MULTILINE)
    assert hours is not None
    assert quota is not None
    kept_s = 3600 * (int(hours[1]) + 1)  # It compacts once an hour what is older than that.
    changes = NODES * (DEFAULTS.partition_changes_burst + DEFAULTS.partition_changes_per_s * kept_s)
    assert changes * CHANGE_BYTES < ALERT * int(quota[1]) / 1.5


def test_by_default_ten_thousand_keys_can_be_imported_through_one_node_without_waiting() -> None:
    rate = ChangeRate(DEFAULTS.partition_changes_per_s, DEFAULTS.partition_changes_burst)
    for number in range(10_000):
        rate.check(ONE, 100.0 + number / 10_000)
        rate.pay(ONE, 700, 100.0 + number / 10_000)
