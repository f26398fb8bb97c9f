"""The history checker: what must never happen, checked in a recording of what did. Pure.

A test records what its clients sent and got (`Sent`, `Answered`), takes the nodes' journals (`Execution`, `Told`),
and notes when a fault began and ended and when a node was seen in or out of the rotation. `check` returns every
violation. Times are seconds of the system's monotonic clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import msgspec
from execution_log import Execution, Record, Told

NOBODY = 0  # operation id of frames that belong to no call of an application
OK_CLASS = 0


class Sent(msgspec.Struct, frozen=True):
    """A client sent a request: one call of its application, however often the library re-sends it."""

    at: float
    operation_id: int
    caller: str
    opcode: str = "SIGN"


class Answered(msgspec.Struct, frozen=True):
    """A call returned or raised."""

    at: float
    operation_id: int
    caller: str
    status: int = 0
    verified: bool | None = None
    """Whether the signature in it is right; None where there is none."""
    not_executed: bool = False
    created: str = ""
    """Hex id of the key that it made."""
    destroyed: str = ""


class Fault(msgspec.Struct, frozen=True):
    """A fault of one node, from its beginning to its end (None: it lasts)."""

    node: str
    began: float
    ended: float | None = None
    ejects: bool = True
    """Whether the node must leave the rotation because of it."""


class Rotation(msgspec.Struct, frozen=True):
    """A proxy was seen to take a node into its rotation, or out of it."""

    at: float
    node: str
    inside: bool
    proxy: str = "proxy-1"


class History(msgspec.Struct):
    """All that was recorded. `keys_found` is what the cluster holds at the end; None: nobody looked."""

    sent: list[Sent] = []
    answered: list[Answered] = []
    executions: list[Execution] = []
    told: list[Told] = []
    faults: list[Fault] = []
    rotations: list[Rotation] = []
    keys_found: set[str] | None = None
    ended_at: float = float("inf")

    def add_record(self, record: Record) -> None:
        """Take a node's journal."""
        self.executions += record.executions
        self.told += record.told


class Bounds(msgspec.Struct, frozen=True):
    """What is promised. None: not judged."""

    eject_s: float | None = 3.0
    return_s: float | None = None
    slowest_s: float | None = None
    may_fail: frozenset[int] = frozenset()
    """Statuses that calls may end with besides those of class OK; -1 in it: any."""
    told_grace_s: float = 0.05
    """How long the old window, or the old state, still counts after a PONG that said otherwise."""
    most_executions: int | None = None
    """How often one operation may arrive at nodes in all."""


class Violation(msgspec.Struct, frozen=True):
    """One thing that must not happen, and did."""

    rule: str
    detail: str


ANY_STATUS = frozenset({-1})


def check(history: History, bounds: Bounds | None = None) -> list[Violation]:
    """Return every violation, by rule."""
    bounds = bounds or Bounds()
    found: list[Violation] = []
    for rule, judge in _RULES.items():
        found += [Violation(rule, detail) for detail in judge(history, bounds)]
    return found


def _one_answer(history: History, bounds: Bounds) -> Iterator[str]:
    answers = Counter(each.operation_id for each in history.answered)
    calls = Counter(each.operation_id for each in history.sent)
    for operation_id, count in calls.items():
        if count > 1:
            yield f"{_name(operation_id)} stands for {count} calls"
        elif answers[operation_id] != 1:
            yield f"{_name(operation_id)} has {answers[operation_id]} answers"


def _own_caller(history: History, bounds: Bounds) -> Iterator[str]:
    callers = {each.operation_id: each.caller for each in history.sent}
    for each in history.answered:
        caller = callers.get(each.operation_id, each.caller)
        if caller != each.caller:
            yield f"{_name(each.operation_id)} was sent by {caller} and answered to {each.caller}"


def _none_invented(history: History, bounds: Bounds) -> Iterator[str]:
    sent_at = {each.operation_id: each.at for each in history.sent}
    for each in history.answered:
        if each.operation_id not in sent_at:
            yield f"{_name(each.operation_id)} was answered and never sent"
        elif each.at < sent_at[each.operation_id]:
            yield f"{_name(each.operation_id)} was answered before it was sent"
    for execution in _work(history.executions):
        at = sent_at.get(execution.operation_id)
        if at is None:
            yield f"{_name(execution.operation_id)} arrived at {execution.node} and nobody sent it"
        elif execution.received_at < at:
            yield f"{_name(execution.operation_id)} arrived at {execution.node} before it was sent"


def _answers_have_a_source(history: History, bounds: Bounds) -> Iterator[str]:
    """A result comes from a node that gave it; where no node keeps a journal there is nothing to judge."""
    if not history.executions:
        return
    given = defaultdict(list)
    for execution in _work(history.executions):
        if execution.answered_at is not None and (execution.status or 0) >> 8 == OK_CLASS:
            given[execution.operation_id].append(execution.answered_at)
    local = {each.operation_id for each in history.sent if each.opcode in ("STATUS", "EVENTS")}
    for each in history.answered:
        if each.status >> 8 != OK_CLASS or each.operation_id in local:
            continue
        if not any(at <= each.at for at in given[each.operation_id]):
            yield f"{_name(each.operation_id)} was answered with a result that no node gave"


def _not_executed_is_true(history: History, bounds: Bounds) -> Iterator[str]:
    done: dict[int, Execution] = {}
    for execution in _work(history.executions):
        if execution.answered_at is not None and (execution.status or 0) >> 8 == OK_CLASS:
            done.setdefault(execution.operation_id, execution)
    for each in history.answered:
        source = done.get(each.operation_id) if each.not_executed else None
        if source is not None and source.received_at < each.at:
            yield f"{_name(each.operation_id)} was called not executed, and {source.node} did it"


def _no_key_lost(history: History, bounds: Bounds) -> Iterator[str]:
    if history.keys_found is None:
        return
    destroyed = {each.destroyed for each in history.answered if each.destroyed}
    for each in history.answered:
        if each.created and each.status >> 8 == OK_CLASS and each.created not in destroyed | history.keys_found:
            yield f"key {each.created} was made by {_name(each.operation_id)} and is gone"


def _signatures_verify(history: History, bounds: Bounds) -> Iterator[str]:
    for each in history.answered:
        if each.verified is False:
            yield f"the signature of {_name(each.operation_id)} does not verify"


def _calls_succeed(history: History, bounds: Bounds) -> Iterator[str]:
    for each in history.answered:
        if each.status >> 8 != OK_CLASS and not bounds.may_fail & {each.status, -1}:
            yield f"{_name(each.operation_id)} failed with {each.status:#06x}"


def _calls_are_quick(history: History, bounds: Bounds) -> Iterator[str]:
    if bounds.slowest_s is None:
        return
    sent_at = {each.operation_id: each.at for each in history.sent}
    for each in history.answered:
        took = each.at - sent_at.get(each.operation_id, each.at)
        if took > bounds.slowest_s:
            yield f"{_name(each.operation_id)} took {took:.3f} s, more than {bounds.slowest_s} s"


def _few_executions(history: History, bounds: Bounds) -> Iterator[str]:
    if bounds.most_executions is None:
        return
    for operation_id, count in Counter(each.operation_id for each in _work(history.executions)).items():
        if count > bounds.most_executions:
            yield f"{_name(operation_id)} arrived at nodes {count} times, more than {bounds.most_executions}"


def _window_kept(history: History, bounds: Bounds) -> Iterator[str]:
    """The window is each peer's own; a lower one counts once it can have been read.

    What a fault kept from being answered is not counted: the peer gives it up in time, and only the peer knows when.
    """
    arrivals = defaultdict(list)
    for execution in _work(history.executions):
        if execution.fault and execution.answered_at is None:
            continue
        arrivals[execution.node, execution.peer].append(execution)
    for (node, peer), executions in arrivals.items():
        told = [each for each in history.told if (each.node, each.peer) == (node, peer)]
        steps = sorted((at, change) for each in executions for at, change in _steps(each))
        in_flight = 0
        for at, change in steps:
            in_flight += change
            window = _largest_window(told, at, bounds.told_grace_s)
            if change > 0 and window is not None and in_flight > window:
                yield f"{in_flight} in flight at {node} from {peer or 'a peer'} at {at:.3f}, above its window {window}"
                break


def _largest_window(told: list[Told], at: float, grace_s: float) -> int | None:
    """Return the largest window that the peer may believe in; None before it was told any."""
    before = [each for each in told if each.at <= at - grace_s]
    recent = [each for each in told if at - grace_s < each.at <= at]
    believed = [max(before, key=lambda each: each.at)] if before else []
    return max((each.window for each in (*believed, *recent)), default=None)


def _nothing_in_maintenance(history: History, bounds: Bounds) -> Iterator[str]:
    told = defaultdict(list)
    for each in sorted(history.told, key=lambda each: each.at):
        told[each.node, each.peer].append(each)
    for execution in _work(history.executions):
        known = [
            each
            for each in told[execution.node, execution.peer]
            if each.at <= execution.received_at - bounds.told_grace_s
        ]
        changed = [
            each
            for each in told[execution.node, execution.peer]
            if execution.received_at - bounds.told_grace_s < each.at <= execution.received_at
        ]
        if known and all(each.administrative_state == "maintain" for each in (known[-1], *changed)):
            yield f"{_name(execution.operation_id)} arrived at {execution.node}, which is in maintenance"


def _ejected_in_time(history: History, bounds: Bounds) -> Iterator[str]:
    if bounds.eject_s is None:
        return
    for fault in history.faults:
        limit = fault.began + bounds.eject_s
        if not fault.ejects or limit > min(fault.ended or limit, history.ended_at):
            continue
        for proxy, words in _words_on(history, fault.node):
            # Out at some moment is enough: a probe may have brought it back since.
            left = any(fault.began <= each.at <= limit and not each.inside for each in words)
            if not left and _is_inside(words, fault.began):
                yield f"{fault.node} is in the rotation of {proxy} {bounds.eject_s} s after its fault began"


def _returned_in_time(history: History, bounds: Bounds) -> Iterator[str]:
    if bounds.return_s is None:
        return
    for fault in history.faults:
        if fault.ended is None or fault.ended + bounds.return_s > history.ended_at:
            continue
        limit = fault.ended + bounds.return_s
        if any(each.node == fault.node and fault.ended < each.began <= limit for each in history.faults):
            continue  # It was hurt again before it had to be back.
        for proxy, words in _words_on(history, fault.node):
            if not _is_inside(words, limit):
                yield f"{fault.node} is out of the rotation of {proxy} {bounds.return_s} s after its fault ended"


def _words_on(history: History, node: str) -> Iterator[tuple[str, list[Rotation]]]:
    for proxy in sorted({each.proxy for each in history.rotations}) or ["no proxy"]:
        yield proxy, [each for each in history.rotations if (each.node, each.proxy) == (node, proxy)]


def _is_inside(words: list[Rotation], at: float) -> bool:
    """Return what was said last by then; at first every node is inside."""
    before = [each for each in words if each.at <= at]
    return max(before, key=lambda each: each.at).inside if before else True


def _steps(execution: Execution) -> Iterator[tuple[float, int]]:
    """+1 when it arrives, -1 when it is answered or lost; at the same moment the answer counts first."""
    yield execution.received_at, 1
    ends = [at for at in (execution.answered_at, execution.ended_at) if at is not None]
    if ends:
        yield min(ends), -1


def _work(executions: Iterable[Execution]) -> Iterator[Execution]:
    """Yield what applications asked for: no PINGs, nothing that proxies themselves ask."""
    for each in executions:
        if each.kind == "REQUEST" and each.opcode not in ("CHECK", "USAGE") and each.operation_id != NOBODY:
            yield each


def _name(operation_id: int) -> str:
    return f"operation {operation_id:016x}"


_RULES = {
    "one answer per call": _one_answer,
    "to its own caller": _own_caller,
    "none invented": _none_invented,
    "every result has a source": _answers_have_a_source,
    "not executed means it": _not_executed_is_true,
    "no created key lost": _no_key_lost,
    "every signature verifies": _signatures_verify,
    "no call fails": _calls_succeed,
    "no call is slow": _calls_are_quick,
    "few executions": _few_executions,
    "never above the window": _window_kept,
    "nothing in maintenance": _nothing_in_maintenance,
    "out of rotation in time": _ejected_in_time,
    "back in rotation in time": _returned_in_time,
}
RULES = tuple(_RULES)
