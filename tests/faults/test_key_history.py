"""The checker of keys' histories: what may be passes, and each thing that may not be is caught."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from key_history import (
    DISABLED,
    DR,
    ENABLED,
    GONE,
    LABEL,
    QUORUM,
    STATE,
    Calm,
    Change,
    Failed,
    KeyHistory,
    Loss,
    Seen,
    check,
    excerpt,
    excused,
    judged,
)

KEY = "k"
NODES = frozenset({"node-1", "node-2"})
SITES = frozenset({"alps"})
MADE = Change(KEY, ENABLED, 1.0, 2.0)


def rules(*changes: Change, seen: tuple[Seen, ...] = (), **others: object) -> list[str]:
    """Return the rules that a history of one made key breaks."""
    history = KeyHistory(NODES, changes=[MADE, *changes], seen=list(seen), **others)  # type: ignore[arg-type]
    return [violation.rule for violation in check(history)]


def saw(value: str, sent: float, answered: float, *, stale: bool = False, field: str = STATE) -> tuple[Seen, ...]:
    """Return what one request saw."""
    return (Seen(KEY, value, sent, answered, field, stale, "proxy-1"),)


def test_a_key_that_was_made_serves_and_one_that_is_being_made_may_or_may_not() -> None:
    assert rules(seen=saw(ENABLED, 2.1, 2.2)) == []
    assert rules(seen=saw(GONE, 1.5, 2.2) + saw(ENABLED, 1.5, 1.8)) == []


def test_a_key_that_is_refused_after_its_creation_was_answered_is_caught() -> None:
    assert rules(seen=saw(GONE, 2.1, 2.2)) == ["keys that were made are there"]
    # The mark is no excuse: no creation names a node.
    assert rules(seen=saw(GONE, 2.1, 2.2, stale=True)) == ["keys that were made are there"]


def test_a_key_that_serves_before_anybody_asked_for_it_is_caught() -> None:
    assert rules(seen=saw(ENABLED, 0.1, 0.2)) == ["changes are seen"]


@pytest.mark.parametrize(("value", "rule"), [(GONE, "destroyed keys serve nothing"), (DISABLED, "changes are seen")])
def test_a_key_that_serves_after_its_end_was_answered_is_caught(value: str, rule: str) -> None:
    end = Change(KEY, value, 3.0, 4.0)
    assert rules(end, seen=saw(ENABLED, 4.1, 4.2)) == [rule]
    assert rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True)) == [rule]
    assert rules(end, seen=saw(ENABLED, 3.9, 4.2) + saw(value, 3.5, 3.6) + saw(value, 4.1, 4.2)) == []


@pytest.mark.parametrize("value", [GONE, DISABLED])
def test_a_change_that_names_nodes_may_be_unseen_in_marked_answers_only(value: str) -> None:
    end = Change(KEY, value, 3.0, 4.0, unconfirmed=("node-1",))
    assert rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True)) == []
    assert len(rules(end, seen=saw(ENABLED, 4.1, 4.2))) == 1
    assert len(rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True), strict={KEY})) == 1
    assert len(rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True), calm=[Calm(4.05, 5.0)])) == 1
    assert rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True), calm=[Calm(4.15, 5.0)]) == []


def test_a_later_change_that_was_confirmed_ends_the_exception_of_an_earlier_one() -> None:
    first = Change(KEY, DISABLED, 3.0, 4.0, unconfirmed=("node-1",))
    assert rules(first, Change(KEY, GONE, 5.0, 6.0), seen=saw(ENABLED, 6.1, 6.2, stale=True)) == [
        "destroyed keys serve nothing"
    ]


def test_how_often_the_exception_was_needed_is_counted() -> None:
    end = Change(KEY, GONE, 3.0, 4.0, unconfirmed=("node-1",))
    seen = [*saw(ENABLED, 4.1, 4.2, stale=True), *saw(GONE, 4.1, 4.2), *saw(ENABLED, 4.1, 4.2)]
    assert excused(KeyHistory(NODES, changes=[MADE, end], seen=seen)) == 1


def test_what_was_destroyed_does_not_come_back_by_a_change_in_doubt() -> None:
    again = Change(KEY, ENABLED, 2.5)
    assert rules(again, Change(KEY, GONE, 3.0, 4.0), seen=saw(ENABLED, 4.1, 4.2)) == ["destroyed keys serve nothing"]


def test_a_change_in_doubt_may_take_effect_at_any_time_or_never() -> None:
    doubtful = Change(KEY, DISABLED, 3.0)
    assert rules(doubtful, seen=saw(DISABLED, 90.0, 91.0) + saw(ENABLED, 92.0, 93.0)) == []


def test_a_change_that_was_called_not_executed_and_is_seen_is_caught() -> None:
    refused = Change(KEY, DISABLED, 3.0, executed=False)
    assert rules(refused, seen=saw(ENABLED, 4.0, 4.1)) == []
    assert rules(refused, seen=saw(DISABLED, 4.0, 4.1)) == ["not executed means it"]


def test_an_earlier_state_after_a_later_change_is_caught() -> None:
    changes = (Change(KEY, DISABLED, 3.0, 4.0), Change(KEY, ENABLED, 5.0, 6.0))
    assert rules(*changes, seen=saw(DISABLED, 5.5, 6.5) + saw(ENABLED, 6.1, 6.2)) == []
    assert rules(*changes, seen=saw(DISABLED, 6.1, 6.2)) == ["changes are seen"]


def test_labels_are_judged_as_states_are() -> None:
    label = (Change(KEY, "a", 1.0, 2.0, LABEL), Change(KEY, "b", 3.0, 4.0, LABEL))
    assert rules(*label, seen=saw("b", 4.1, 4.2, field=LABEL) + saw("a", 3.5, 3.6, field=LABEL)) == []
    assert rules(*label, seen=saw("a", 4.1, 4.2, field=LABEL)) == ["changes are seen"]
    assert rules(*label, seen=saw("c", 4.1, 4.2, field=LABEL)) == ["values are not invented"]


def test_a_use_that_fails_is_caught_while_the_key_exists() -> None:
    assert rules(failed=[Failed(KEY, "UNAVAILABLE", 2.1, 3.0)]) == ["uses do not fail"]
    assert rules(failed=[Failed(KEY, "UNAVAILABLE", 1.5, 3.0)]) == []
    assert rules(Change(KEY, GONE, 2.5), failed=[Failed(KEY, "UNAVAILABLE", 2.1, 3.0)]) == []


def test_only_a_new_key_may_be_known_to_nobody_and_only_while_the_store_does_nothing() -> None:
    new = Change("new", ENABLED, 9.8, 10.0, creates=True)

    def judged(*more: Change, status: str = "NOT_CURRENT", sent: float = 10.1, answered: float = 18.0) -> list[str]:
        return rules(new, *more, failed=[Failed("new", status, sent, answered)])

    assert judged() == judged(Change(KEY, DISABLED, 11.0, 12.0)) == []
    assert judged(status="UNAVAILABLE") == ["uses do not fail"]
    assert judged(sent=11.1) == ["uses do not fail"], "not new"
    assert judged(answered=14.0) == ["uses do not fail"], "given up too early"
    assert judged(Change(KEY, DISABLED, 13.5, 14.0)) == ["uses do not fail"], "the store did something"


def test_a_wrong_signature_is_caught() -> None:
    assert rules(wrong_signatures=list(saw(ENABLED, 2.1, 2.2))) == ["signatures verify"]


NAMES = ["who was waited for is named"]


def test_names_that_are_no_nodes_are_caught() -> None:
    assert rules(Change(KEY, GONE, 3.0, 4.0, unconfirmed=("node-9",))) == NAMES


def test_the_dr_site_is_named_behind_nodes_or_alone_and_only_where_it_was_waited_for() -> None:
    def named(*names: str, durability: str = DR, creates: bool = False) -> list[str]:
        change = Change(KEY, GONE, 3.0, 4.0, unconfirmed=names, durability=durability, creates=creates)
        return rules(change, recovery_sites=SITES)

    assert named("alps") == named("node-1", "alps") == named("alps", creates=True) == []
    assert named("alps", durability=QUORUM) == named("alps", "node-1") == NAMES
    assert named("node-1", creates=True) == named("jura") == NAMES


def test_that_the_dr_site_is_named_excuses_nothing() -> None:
    end = Change(KEY, GONE, 3.0, 4.0, unconfirmed=("alps",), durability=DR)
    assert rules(end, seen=saw(ENABLED, 4.1, 4.2, stale=True), recovery_sites=SITES) == ["destroyed keys serve nothing"]
    both = Change(KEY, GONE, 3.0, 4.0, unconfirmed=("node-1", "alps"), durability=DR)
    assert rules(both, seen=saw(ENABLED, 4.1, 4.2, stale=True), recovery_sites=SITES) == []


@pytest.mark.parametrize(
    ("durability", "named", "answered", "may_be_lost"),
    [
        (DR, (), 9.9, False),
        (DR, ("node-1",), 9.9, False),
        (DR, ("alps",), 9.9, True),
        (DR, ("node-1", "alps"), 9.9, True),
        (QUORUM, (), 9.9, True),
        (QUORUM, (), 8.9, False),
        (QUORUM, (), 20.5, False),
    ],
)
def test_what_the_dr_site_did_not_have_may_be_lost_with_the_productive_ones_and_nothing_else(
    durability: str, named: tuple[str, ...], answered: float, may_be_lost: bool
) -> None:
    loss = Loss(10.0, 20.0, 1.0)
    end = Change(KEY, GONE, answered - 0.1, answered, unconfirmed=named, durability=durability)
    after = saw(ENABLED, 21.0, 21.1)
    found = rules(end, seen=after, recovery_sites=SITES, loss=loss)
    assert found == ([] if may_be_lost else ["destroyed keys serve nothing"])
    assert rules(end, seen=saw(GONE, 21.0, 21.1), recovery_sites=SITES, loss=loss) == []
    if answered < 10.0:  # Nothing was lost yet.
        assert rules(end, seen=saw(ENABLED, 9.95, 9.99), recovery_sites=SITES, loss=loss) != []


def test_a_key_that_was_made_shortly_before_the_loss_may_be_gone_after_it() -> None:
    new = Change("late", ENABLED, 9.8, 9.9, creates=True)
    gone = (Seen("late", GONE, 21.0, 21.1),)
    assert rules(new, seen=gone, loss=Loss(10.0, 20.0, 1.0)) == []
    sure = Change("late", ENABLED, 9.8, 9.9, creates=True, durability=DR)
    assert rules(sure, seen=gone, loss=Loss(10.0, 20.0, 1.0)) == ["keys that were made are there"]


def test_uses_may_fail_between_the_loss_and_the_promotion_and_not_after_it() -> None:
    loss = Loss(10.0, 20.0, 1.0)
    assert rules(failed=[Failed(KEY, "UNAVAILABLE", 9.0, 19.0), Failed(KEY, "TIMEOUT", 19.0, 25.0)], loss=loss) == []
    assert rules(failed=[Failed(KEY, "UNAVAILABLE", 20.1, 25.0)], loss=loss) == ["uses do not fail"]
    assert rules(failed=[Failed(KEY, "UNAVAILABLE", 8.0, 9.0)], loss=loss) == ["uses do not fail"]


def test_an_acknowledged_key_that_nobody_tried_on_a_node_is_caught() -> None:
    tried = (Seen(KEY, ENABLED, 8.0, 8.1, node="node-1"),)
    assert rules(seen=tried, active=frozenset({"node-1"})) == []
    assert rules(seen=tried, active=NODES) == ["every key is tried on every node"]


def test_what_had_to_show_is_counted_by_what_it_was_and_by_its_durability() -> None:
    made = [
        Change(KEY, value, 1.0, 2.0, field, durability=DR, creates=True)
        for field, value in ((STATE, ENABLED), (LABEL, "a"))
    ]
    off, label = Change(KEY, DISABLED, 3.0, 4.0), Change(KEY, "b", 3.0, 4.0, LABEL, ("node-1",), DR)
    seen = [*saw(ENABLED, 2.1, 2.2), *saw(DISABLED, 4.1, 4.2), *saw("b", 4.1, 4.2, field=LABEL)]
    early, excused_one = saw(GONE, 1.5, 1.6), saw("a", 4.3, 4.4, stale=True, field=LABEL)
    history = KeyHistory(NODES, changes=[*made, off, label], seen=[*seen, *early, *excused_one])
    assert judged(history) == {("made", DR): 4, (DISABLED, QUORUM): 1, (LABEL, DR): 1}


def test_a_violation_shows_what_is_known_of_the_key() -> None:
    end = Change(KEY, GONE, 3.0, 4.0, unconfirmed=("node-1",))
    later = Change(KEY, DISABLED, 5.0)
    history = KeyHistory(NODES, changes=[MADE, end, later], seen=list(saw(ENABLED, 4.1, 4.2)))
    [found] = check(history)
    assert excerpt(history, found) == [
        "state to be enabled: sent 1.000, answered 2.000",
        "state to be gone: sent 3.000, answered 4.000, not confirmed by node-1",
        "state seen as enabled: sent 4.100, answered 4.200 (proxy-1)",
    ]


moments = st.integers(0, 40).map(float)


@given(
    st.lists(st.tuples(st.sampled_from([ENABLED, DISABLED]), moments, moments, st.floats(0, 1)), max_size=5),
    st.lists(st.tuples(moments, moments), max_size=5),
    st.data(),
)
def test_whatever_a_single_true_order_shows_is_never_called_a_violation(
    spans: list[tuple[str, float, float, float]], requests: list[tuple[float, float]], data: st.DataObject
) -> None:
    """Each change takes effect at one moment between sending and answer; each request looks at one between its own."""
    effects = [(1.5, ENABLED)]
    changes = [MADE]
    for value, start, length, share in spans:
        sent, answered = 2.1 + start, 2.2 + start + length
        changes.append(Change(KEY, value, sent, answered))
        effects.append((sent + (answered - sent) * share, value))
    seen = []
    for start, length in requests:
        sent, answered = start, start + length + 0.1
        looked = data.draw(st.floats(sent, answered))
        before = [(moment, value) for moment, value in effects if moment <= looked]
        seen.append(Seen(KEY, max(before)[1] if before else GONE, sent, answered))
    assert check(KeyHistory(NODES, changes=changes, seen=seen)) == []
