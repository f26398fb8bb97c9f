"""The history checker of keys: what docs/consistency.md promises, checked in what clients saw of each key. Pure.

A field of a key (whether it serves, its label) is a register. Clients note each change that they sent and what became
of it, and each value that they saw in an answer. A value may be seen if some change to it may have been the last one:
begun before the answer came, and not followed by another change that was answered before the request was sent. That is
promises 1, 2 and 4. The only exception is promise 3, a change whose answer named nodes: an answer that is marked as
stale may show what was before it, but not for a key of policy `strict`, and not while nothing was wrong (`Calm`).

Answers may name a DR site as well, behind nodes or alone: that excuses nothing while the productive sites live. When
they are lost (`Loss`) and the DR site serves, what was answered OK under durability `dr` is there. What named the site,
and what was answered under `quorum`, may be or not, if that was so shortly before that the copy may lack it.
A use of a key does not fail, but where no node can know it: just made, by a node that was lost at once, together with
the store's majority (step 4 of a node's life). Then it is NOT_CURRENT until the store can be read.

Times are seconds of one monotonic clock.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import msgspec

STATE = "state"
LABEL = "label"
GONE = "gone"
"""Not made, or destroyed: KEY_NOT_FOUND."""
ENABLED = "enabled"
DISABLED = "disabled"
MADE = "made"
WHAT = (MADE, ENABLED, DISABLED, GONE, LABEL)
QUORUM = "quorum"
DR = "dr"
DURABILITIES = (QUORUM, DR)
SHORTLY_S = 5.0
USES_DO_NOT_FAIL = "uses do not fail"
NEW_S = 1.0
"""How old a key may be that only the node has seen which made it."""
SILENT_S = 5.0
"""After so long without one change done, nothing of the store can be read either."""


class Change(msgspec.Struct, frozen=True):
    """A change of one field (a creation too), as one call of its application, however often it was sent."""

    key: str
    value: str
    sent: float
    answered: float | None = None
    """When the answer came that it is done; None: nobody knows whether it was, or will be."""
    field: str = STATE
    unconfirmed: tuple[str, ...] = ()
    """All that the answer named: nodes, and behind them the DR site."""
    durability: str = QUORUM
    """What was asked for, by the request or else by the cluster."""
    creates: bool = False
    executed: bool = True
    """False: every answer said that it was not."""


class Seen(msgspec.Struct, frozen=True):
    """What a request found a field to be: a signature, a refusal, a description."""

    key: str
    value: str
    sent: float
    answered: float
    field: str = STATE
    stale: bool = False
    """Whether the answer was marked so."""
    proxy: str = ""
    node: str = ""
    """Where only one node could serve it: its name."""


class Failed(msgspec.Struct, frozen=True):
    """A use of a key that ended in neither a result nor a refusal because of what the key is."""

    key: str
    status: str
    sent: float
    answered: float


class Calm(msgspec.Struct, frozen=True):
    """A time in which nothing was broken and every node was current."""

    began: float
    ended: float


class Loss(msgspec.Struct, frozen=True):
    """The loss of all productive sites, and the promotion of the DR site after it."""

    at: float
    served: float
    """When the promotion had been answered: uses between the two may fail."""
    behind_s: float
    """What was answered earlier than that before the loss, the copy had under `quorum` too."""


class KeyHistory(msgspec.Struct):
    """All that was recorded. `nodes` and `recovery_sites` are the names that may be in an answer."""

    nodes: frozenset[str] = frozenset()
    recovery_sites: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    """The nodes on which each key is tried at the end."""
    strict: set[str] = set()
    changes: list[Change] = []
    seen: list[Seen] = []
    failed: list[Failed] = []
    calm: list[Calm] = []
    wrong_signatures: list[Seen] = []
    loss: Loss | None = None


class Violation(msgspec.Struct, frozen=True):
    """One thing that must not happen, and did."""

    rule: str
    key: str
    detail: str
    at: float = 0.0
    """When the request was sent whose answer shows it."""


def check(history: KeyHistory) -> list[Violation]:
    """Return every violation."""
    return [violation for judge in _RULES for violation in judge(history)]


def excused(history: KeyHistory) -> int:
    """Return how often the exception was needed: an old value in a marked answer, after a change that named nodes."""
    changes = _by_register(history)
    found = 0
    for each in history.seen:
        known = changes[each.key, each.field]
        if not _may_be(each, known, [one for one in known if _is_done_by(history, one, each.sent)]):
            found += _may_be(each, known, _binding(history, each, known))
    return found


def judged(history: KeyHistory) -> "Counter[tuple[str, str]]":
    """Return how often something was seen in which a change had to show, by what that was and by its durability: a rule
    that had nothing to judge proves nothing."""
    changes = _by_register(history)
    found: Counter[tuple[str, str]] = Counter()
    for each in history.seen:
        bound = _binding(history, each, changes[each.key, each.field])
        found.update({(_what(change), change.durability) for change in bound})
    return found


def excerpt(history: KeyHistory, found: Violation) -> list[str]:
    """Return what is known of a violation's key: all changes until then, and what was seen shortly before."""
    mine = [change for change in history.changes if change.key == found.key and change.sent <= found.at]
    seen = [each for each in history.seen if each.key == found.key and found.at - SHORTLY_S < each.sent <= found.at]
    lines = [(change.sent, _changed(change)) for change in mine] + [(each.sent, _seen(each)) for each in seen]
    return [text for _, text in sorted(lines)]


def _values(history: KeyHistory) -> Iterator[Violation]:
    changes = _by_register(history)
    for each in history.seen:
        known = changes[each.key, each.field]
        binding = _binding(history, each, known)
        if _may_be(each, known, binding):
            continue
        yield Violation(_rule(each, known, binding), each.key, _seen(each), each.sent)


def _uses_do_not_fail(history: KeyHistory) -> Iterator[Violation]:
    changes = _by_register(history)
    for each in history.failed:
        known = changes[each.key, STATE]
        if _is_in_pause(history.loss, each) or _is_known_to_nobody(history, known, each):
            continue
        made = any(one.value == ENABLED and _is_done_by(history, one, each.sent) for one in known)
        if made and not any(one.value == GONE and one.executed and one.sent < each.answered for one in known):
            text = f"{each.status}, sent {each.sent:.3f}, answered {each.answered:.3f}"
            yield Violation(USES_DO_NOT_FAIL, each.key, text, each.sent)


def _is_known_to_nobody(history: KeyHistory, known: Sequence[Change], failed: Failed) -> bool:
    """Whether the key was that new, and whether the store did nothing for anybody when the use was given up."""
    made = [one.answered for one in known if one.creates and one.answered is not None]
    is_new = any(failed.sent - NEW_S <= answered <= failed.sent for answered in made)
    since = failed.answered - SILENT_S
    done = any(
        one.answered is not None and one.answered <= failed.answered and one.sent >= since for one in history.changes
    )
    return failed.status == "NOT_CURRENT" and is_new and failed.sent <= since and not done


def _signatures_verify(history: KeyHistory) -> Iterator[Violation]:
    for each in history.wrong_signatures:
        yield Violation("signatures verify", each.key, _seen(each))


def _who_was_waited_for_is_named(history: KeyHistory) -> Iterator[Violation]:
    for change in history.changes:
        nodes, sites = _nodes_of(history, change), set(change.unconfirmed) & history.recovery_sites
        if set(nodes) - history.nodes:
            wrong = f"{nodes} are no nodes"
        elif sites and change.durability != DR:
            wrong = "nobody waited for the DR site"
        elif nodes and change.creates:
            wrong = "a creation waits for no node"
        elif sites and change.unconfirmed[-1] not in sites:
            wrong = "the DR site is not the last one"
        else:
            continue
        yield Violation("who was waited for is named", change.key, f"{wrong}: {_changed(change)}")


def _tried_everywhere(history: KeyHistory) -> Iterator[Violation]:
    """Every acknowledged key has been tried on every node, so that the rule about values has judged it."""
    tried: defaultdict[str, set[str]] = defaultdict(set)
    for each in history.seen:
        if each.node:
            tried[each.key].add(each.node)
    for key in {each.key for each in history.changes if each.value == ENABLED and each.answered is not None}:
        if history.active - tried[key]:
            missing = ", ".join(sorted(history.active - tried[key]))
            yield Violation("every key is tried on every node", key, f"not on {missing}")


def _by_register(history: KeyHistory) -> "defaultdict[tuple[str, str], list[Change]]":
    found: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in history.changes:
        found[change.key, change.field].append(change)
    return found


def _may_be(seen: Seen, known: Sequence[Change], binding: Sequence[Change]) -> bool:
    """Whether some change to that value may have been the last one before that answer."""
    if any(one.value == GONE for one in binding):
        return seen.value == GONE  # for ever
    if seen.value == GONE and seen.field == STATE and not binding:
        return True  # it may not have been made
    candidates = [one for one in known if one.executed and one.value == seen.value and one.sent < seen.answered]
    return any(not _followed(one, binding) for one in candidates)


def _followed(change: Change, binding: Sequence[Change]) -> bool:
    """Whether another change that counts came certainly after it."""
    return change.answered is not None and any(one.sent > change.answered for one in binding)


def _is_done_by(history: KeyHistory, change: Change, moment: float) -> bool:
    """Whether a change counts for what is asked at that moment."""
    if not change.executed or change.answered is None or change.answered >= moment:
        return False
    loss = history.loss
    if loss is None or moment < loss.at or change.answered > loss.served:
        return True
    if change.durability == DR and not set(change.unconfirmed) & history.recovery_sites:
        return True
    return change.answered < loss.at - loss.behind_s


def _is_in_pause(loss: Loss | None, failed: Failed) -> bool:
    return loss is not None and failed.sent < loss.served and failed.answered > loss.at


def _what(change: Change) -> str:
    """Return what a change is: one of WHAT."""
    if change.creates:
        return MADE
    return LABEL if change.field == LABEL else change.value


def _nodes_of(history: KeyHistory, change: Change) -> tuple[str, ...]:
    """Return the nodes among those that the answer named."""
    return tuple(name for name in change.unconfirmed if name not in history.recovery_sites)


def _binding(history: KeyHistory, seen: Seen, known: Sequence[Change]) -> list[Change]:
    """Return the changes that the request had to see: answered before it was sent, and not under the exception."""
    before = [change for change in known if _is_done_by(history, change, seen.sent)]
    if not seen.stale or seen.key in history.strict:
        return before
    if any(calm.began <= seen.sent and seen.answered <= calm.ended for calm in history.calm):
        return before
    return [change for change in before if not _nodes_of(history, change)]


def _rule(seen: Seen, known: Sequence[Change], binding: Sequence[Change]) -> str:
    if any(not one.executed and one.value == seen.value and one.sent < seen.answered for one in known):
        return "not executed means it"
    if any(one.value == GONE for one in binding):
        return "destroyed keys serve nothing"
    if seen.value == GONE:
        return "keys that were made are there"
    if not any(one.value == seen.value for one in known):
        return "values are not invented"
    return "changes are seen"


def _changed(change: Change) -> str:
    end = "in doubt" if change.answered is None else f"answered {change.answered:.3f}"
    named = f", not confirmed by {', '.join(change.unconfirmed)}" if change.unconfirmed else ""
    end = end if change.executed else "not executed"
    return f"{change.field} to be {change.value}: sent {change.sent:.3f}, {end}{named}"


def _seen(seen: Seen) -> str:
    where = " ".join(text for text in (seen.proxy, seen.node, "stale" if seen.stale else "") if text)
    return f"{seen.field} seen as {seen.value}: sent {seen.sent:.3f}, answered {seen.answered:.3f} ({where})"


_RULES = (_values, _uses_do_not_fail, _signatures_verify, _who_was_waited_for_is_named, _tried_everywhere)
