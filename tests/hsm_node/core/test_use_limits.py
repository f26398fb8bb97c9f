from collections.abc import Callable

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hsm_node.core.records import Record, next_record, rewritten_record
from hsm_node.core.refusal import Refusal
from hsm_node.core.use_limits import (
    GCM_AHEAD,
    GCM_BLOCK,
    GCM_ENCRYPTIONS,
    KEPT_USES,
    counted_uses,
    is_counted,
    leased,
    used_up,
)
from hsm_wire.key_types import KEY_TYPES, KeyType
from hsm_wire.messages import Policy
from hsm_wire.statuses import Status
from hsm_wire.usages import Usage

Make = Callable[..., Record]
NODES = 3
KEY = Record(
    b"c" * 16, 1, b"k" * 16, 1, 1, 1, "ec-p256", 1, "", 3, True, False, 0, "generated", b"", Policy(), b"", (), b"w"
)  # fmt: skip
ALWAYS = Usage.SIGN | Usage.DECRYPT | Usage.UNWRAP | Usage.DERIVE | Usage.DECAPSULATE


def mark(number: int) -> bytes:
    return number.to_bytes(16, "big")


@pytest.mark.parametrize("key_type", KEY_TYPES.values(), ids=lambda row: row.name)
def test_what_counts_is_the_secret_part_at_work(make_record: Make, key_type: KeyType) -> None:
    record = make_record(key_type=key_type.name, policy=Policy(max_uses=1))
    for usage in Usage:
        expected = bool(usage & ALWAYS) or (key_type.symmetric and bool(usage & (Usage.ENCRYPT | Usage.WRAP)))
        assert is_counted(record, int(usage)) == expected, usage
        assert not is_counted(make_record(key_type=key_type.name), int(usage)), "without a limit nothing counts"


def test_a_use_counts_once_and_is_known_again(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=2))
    once, allowed = counted_uses(record, [mark(1)])
    assert (once.uses, once.use_marks, allowed) == (1, (mark(1),), [True])
    again, allowed = counted_uses(once, [mark(1)])
    assert again is once, "there is nothing to write"
    assert allowed == [True]


def test_owner_and_changes_see_nothing_of_uses(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=2), changes=(b"a",), version=5)
    after, _ = counted_uses(record, [mark(1)])
    assert (after.version, after.changes, after.order) == (5, (b"a",), record.order + 1)


def test_at_the_limit_what_is_new_is_refused_and_what_was_counted_is_not(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=3), uses=2, use_marks=(mark(1), mark(2)))
    after, allowed = counted_uses(record, [mark(3), mark(4), mark(1), mark(3)])
    assert (after.uses, allowed) == (3, [True, False, True, True])
    same, allowed = counted_uses(after, [mark(5)])
    assert same is after
    assert allowed == [False]
    refusal = used_up(after)
    assert (refusal.status, refusal.not_executed) == (Status.KEY_USAGE, False)
    assert "3 uses" in refusal.detail


def test_the_last_eight_uses_are_remembered_and_all_of_one_writing(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=100))
    after, _ = counted_uses(record, [mark(number) for number in range(KEPT_USES)])
    assert counted_uses(after, [mark(number) for number in range(KEPT_USES)])[0] is after
    after, _ = counted_uses(after, [mark(99)])
    assert after.use_marks == (*(mark(number) for number in range(1, KEPT_USES)), mark(99))
    assert counted_uses(after, [mark(0)])[0].uses == KEPT_USES + 2, "forgotten, it counts again"


def test_a_limit_that_was_lowered_below_what_was_done_allows_nothing_more(make_record: Make) -> None:
    record = make_record(policy=Policy(max_uses=2), uses=5)
    same, allowed = counted_uses(record, [mark(1)])
    assert same is record
    assert allowed == [False]


class Uses(RuleBasedStateMachine):
    """Nodes with states as old as they may be, over a store that takes a writing of the state it has and no other.
    Nodes die before and after it, callers send again, the owner changes the key and the master key is rotated."""

    @initialize(most=st.integers(1, 12))
    def make(self, most: int) -> None:
        self.stored = msgspec.structs.replace(KEY, policy=Policy(max_uses=most))
        self.known = [self.stored] * NODES
        self.writing: dict[int, tuple[Record, Record, list[bytes], list[bool]]] = {}
        self.done: set[bytes] = set()
        self.most = most

    @rule(node=st.integers(0, NODES - 1), uses=st.lists(st.integers(0, 20), min_size=1, max_size=KEPT_USES))
    def begin(self, node: int, uses: list[int]) -> None:
        marks = [mark(number) for number in uses]
        before = self.known[node]
        after, verdicts = counted_uses(before, marks)
        self.writing[node] = (before, after, marks, verdicts)
        if after is before:  # Nothing to write: what is known may work.
            self.work(node)

    @rule(node=st.integers(0, NODES - 1), dies=st.booleans())
    def write(self, node: int, *, dies: bool) -> None:
        if node not in self.writing:
            return
        before, after, marks, _ = self.writing[node]
        if before == self.stored:
            self.stored = self.known[node] = after
            if not dies:
                self.work(node)
            self.writing.pop(node, None)
        else:  # Somebody else was faster: look again.
            del self.writing[node]
            self.known[node] = self.stored
            self.begin(node, [int.from_bytes(one, "big") for one in marks])

    @rule(node=st.integers(0, NODES - 1))
    def follow(self, node: int) -> None:
        self.known[node] = self.stored

    @rule(fewer=st.integers(0, 3))
    def owner_changes_the_key(self, fewer: int) -> None:
        policy = msgspec.structs.replace(self.stored.policy, max_uses=max(1, self.stored.policy.max_uses - fewer))
        self.stored = next_record(self.stored, label="other", policy=policy)

    @rule()
    def the_master_key_is_rotated(self) -> None:
        self.stored = rewritten_record(self.stored, master_key_version=self.stored.master_key_version + 1)

    def work(self, node: int) -> None:
        *_, marks, verdicts = self.writing.pop(node)
        self.done.update(one for one, allowed in zip(marks, verdicts, strict=True) if allowed)

    @invariant()
    def never_more_than_allowed(self) -> None:
        assert len(self.done) <= self.stored.uses <= self.most


UsesOverNodes = Uses.TestCase
UsesOverNodes.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_block_is_taken_until_there_are_none(make_record: Make) -> None:
    record, encryptions = leased(make_record())
    assert (record.gcm_leased, encryptions, record.version) == (GCM_BLOCK, GCM_BLOCK, 1)
    record, encryptions = leased(make_record(gcm_leased=GCM_ENCRYPTIONS - 5))
    assert (record.gcm_leased, encryptions) == (GCM_ENCRYPTIONS, 5)
    with pytest.raises(Refusal, match="rotate the key") as refused:
        leased(record)
    assert (refused.value.status, refused.value.not_executed) == (Status.KEY_USAGE, False)


def test_all_blocks_together_are_what_random_nonces_are_safe_for(make_record: Make) -> None:
    record, total = make_record(gcm_leased=GCM_ENCRYPTIONS - 10 * GCM_BLOCK), 0
    for _ in range(10):
        record, encryptions = leased(record)
        total += encryptions
    assert total == 10 * GCM_BLOCK
    assert record.gcm_leased == 2**32


def test_restarts_lose_little_and_the_next_block_comes_in_time() -> None:
    assert 4096 * (GCM_BLOCK + GCM_AHEAD) < GCM_ENCRYPTIONS / 10
    assert GCM_AHEAD >= 10_000, "a node makes tens of thousands a second, and the store takes some time"
