"""Each rule of the history checker lets a good history pass, and can fail: the negative control of the checker."""

from collections.abc import Callable
from typing import Any

import pytest
from execution_log import Execution, Journal, Told
from history import ANY_STATUS, RULES, Answered, Bounds, Fault, History, Rotation, Sent, check

from hsm_wire.statuses import Status

OPERATION = 0xABC
STRICT = Bounds(eject_s=3.0, return_s=5.0, slowest_s=1.5, most_executions=3)
Harm = Callable[[History], None]


def execution(operation_id: int = OPERATION, received_at: float = 10.1, **changes: Any) -> Execution:
    fields: dict[str, Any] = {
        "node": "node-1", "boot_id": "b", "connection": 1, "peer": "proxy-1", "kind": "REQUEST", "opcode": "SIGN",
        "operation_id": operation_id, "request_id": 1, "principal": 1, "key_id": "", "received_at": received_at,
        "answered_at": received_at + 0.1, "status": 0, **changes,
    }  # fmt: skip
    return Execution(**fields)


def told(at: float, window: int = 2, administrative_state: str = "ready", connection: int = 1) -> Told:
    return Told("node-1", at, connection, "proxy-1", window, "up", administrative_state)


def good() -> History:
    """One signature, one new key, a fault that was seen and went by."""
    return History(
        sent=[Sent(10.0, OPERATION, "app"), Sent(11.0, 2, "other", "GENERATE_KEY")],
        answered=[
            Answered(10.3, OPERATION, "app", verified=True),
            Answered(11.5, 2, "other", created="aa"),
        ],
        executions=[execution(), execution(2, 11.1, opcode="GENERATE_KEY")],
        told=[told(9.0)],
        faults=[Fault("node-1", 20.0, 24.0)],
        rotations=[Rotation(21.0, "node-1", False), Rotation(26.0, "node-1", True)],
        keys_found={"aa"},
        ended_at=100.0,
    )


def broken(harm: Harm, bounds: Bounds = STRICT) -> list[tuple[str, str]]:
    history = good()
    harm(history)
    return [(each.rule, each.detail) for each in check(history, bounds)]


def answer(**changes: Any) -> Harm:
    """Return a harm that changes the first answer."""

    def harm(history: History) -> None:
        old = history.answered[0]
        fields = {name: getattr(old, name) for name in old.__struct_fields__}
        history.answered[0] = Answered(**{**fields, **changes})

    return harm


def more(field: str, *added: object) -> Harm:
    """Return a harm that appends to a list of the history."""
    return lambda history: getattr(history, field).extend(added)


def without(field: str, index: int = 0) -> Harm:
    """Return a harm that takes one out of a list of the history."""

    def harm(history: History) -> None:
        del getattr(history, field)[index]

    return harm


def lose_key(history: History) -> None:
    history.keys_found = set()


HARMS: list[tuple[str, Harm, str]] = [
    ("one answer per call", without("answered"), "operation 0000000000000abc has 0 answers"),
    ("one answer per call", more("answered", Answered(10.4, OPERATION, "app")), "has 2 answers"),
    ("one answer per call", more("sent", Sent(10.0, OPERATION, "app")), "stands for 2 calls"),
    ("to its own caller", answer(caller="other"), "was sent by app and answered to other"),
    ("none invented", without("sent", 1), "operation 0000000000000002 was answered and never sent"),
    ("none invented", without("sent", 1), "arrived at node-1 and nobody sent it"),
    ("none invented", answer(at=9.0), "was answered before it was sent"),
    ("none invented", more("executions", execution(received_at=9.5)), "arrived at node-1 before it was sent"),
    ("every result has a source", without("executions"), "a result that no node gave"),
    ("every result has a source", answer(at=10.15), "a result that no node gave"),
    (
        "not executed means it",
        answer(status=int(Status.UNAVAILABLE), not_executed=True),
        "was called not executed, and node-1 did it",
    ),
    ("no created key lost", lose_key, "key aa was made by operation 0000000000000002 and is gone"),
    ("every signature verifies", answer(verified=False), "does not verify"),
    ("no call fails", answer(status=int(Status.UNAVAILABLE)), "failed with 0x0601"),
    ("no call is slow", answer(at=11.6), "took 1.600 s, more than 1.5 s"),
    ("few executions", more("executions", *[execution(received_at=12.0 + n) for n in range(3)]), "4 times"),
    ("never above the window", more("executions", execution(), execution()), "3 in flight at node-1 from proxy-1"),
    ("never above the window", more("told", told(10.0, 0)), "1 in flight at node-1 from proxy-1 at 10.100"),
    ("nothing in maintenance", more("told", told(10.0, 2, "maintain")), "node-1, which is in maintenance"),
    ("out of rotation in time", without("rotations"), "node-1 is in the rotation of proxy-1 3.0 s after"),
    ("out of rotation in time", lambda history: history.rotations.clear(), "rotation of no proxy 3.0 s after"),
    ("back in rotation in time", without("rotations", 1), "node-1 is out of the rotation of proxy-1 5.0 s after"),
]


def test_a_good_history_breaks_no_rule() -> None:
    assert broken(lambda history: None) == []
    assert check(History()) == []


@pytest.mark.parametrize(("rule", "harm", "detail"), HARMS)
def test_a_harm_breaks_its_rule(rule: str, harm: Harm, detail: str) -> None:
    assert any(rule == found and detail in said for found, said in broken(harm)), broken(harm)


def test_every_rule_has_a_harm_that_breaks_it() -> None:
    assert {rule for rule, _, _ in HARMS} == set(RULES)


@pytest.mark.parametrize(
    "harm",
    [
        more("executions", execution(OPERATION, received_at=10.05, answered_at=None, ended_at=10.06)),
        more("executions", *[execution(9, kind="PING", opcode=""), execution(0), execution(9, opcode="CHECK")] * 3),
        more("executions", *[execution(answered_at=None, fault="drop")] * 2),
        more("executions", execution(received_at=10.2)),
        more("told", told(10.08, 0, "maintain"), told(10.5)),
        more("told", told(9.5, 2, "maintain"), told(9.9)),
        more("told", told(9.5, 0), told(9.9, 1, connection=2)),
        more("rotations", Rotation(22.0, "node-1", True)),
        more("faults", Fault("node-2", 99.0), Fault("node-2", 50.0, 51.0), Fault("node-2", 50.0, 60.0, ejects=False)),
        more("answered", Answered(12.0, 3, "app", destroyed="aa")),
    ],
    ids=[
        "sent again after a loss",
        "no work",
        "a hung request",
        "one after the other",
        "maintenance the peer cannot know",
        "maintenance that is over",
        "the newest window counts",
        "a probe brought it back",
        "faults too short to judge",
        "a key destroyed",
    ],
)
def test_what_may_be_breaks_no_rule(harm: Harm) -> None:
    def with_destroyed(history: History) -> None:
        harm(history)
        if len(history.answered) == 3:
            history.keys_found = set()
            history.sent.append(Sent(11.9, 3, "app", "DESTROY_KEY"))
            history.executions.append(execution(3, 11.95, opcode="DESTROY_KEY", answered_at=11.97))

    assert broken(with_destroyed) == []


def test_a_node_that_was_out_already_need_not_leave_again() -> None:
    history = good()
    history.rotations = [Rotation(19.0, "node-1", False)]
    assert [each.rule for each in check(history, STRICT)] == ["back in rotation in time"]


def test_a_node_hurt_again_before_it_had_to_be_back_is_not_late() -> None:
    history = good()
    history.faults.append(Fault("node-1", 25.0))
    del history.rotations[1]
    assert check(history, STRICT) == []


def test_each_proxy_is_judged_by_itself() -> None:
    history = good()
    history.rotations += [Rotation(19.0, "node-2", True, "proxy-2")]
    details = [each.detail for each in check(history, STRICT)]
    assert details == ["node-1 is in the rotation of proxy-2 3.0 s after its fault began"]


def test_statuses_that_may_be_are_named_or_any() -> None:
    failed = answer(status=int(Status.UNAVAILABLE), verified=None)
    assert broken(failed, Bounds(may_fail=frozenset({int(Status.UNAVAILABLE)}))) == []
    assert broken(failed, Bounds(may_fail=ANY_STATUS)) == []
    assert broken(failed, Bounds(may_fail=frozenset({int(Status.TIMEOUT)}))) != []


def test_what_nobody_promised_is_not_judged() -> None:
    def harm(history: History) -> None:
        history.rotations.clear()
        answer(at=15.0)(history)

    assert broken(harm, Bounds(eject_s=None)) == []


def test_a_status_that_the_proxy_gives_needs_no_node() -> None:
    history = good()
    history.sent.append(Sent(12.0, 5, "app", "STATUS"))
    history.answered.append(Answered(12.1, 5, "app"))
    assert check(history, STRICT) == []


def test_a_nodes_journal_goes_into_a_history() -> None:
    journal = Journal("node-1")
    journal.note("started", boot_id="b")
    journal.note("connected", connection=1)
    journal.note("told", connection=1, window=4, state="up", administrative_state="ready")
    history = History()
    history.add_record(journal.record)
    assert [each.window for each in history.told] == [4]
