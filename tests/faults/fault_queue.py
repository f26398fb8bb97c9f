"""The queue of faults: which frame meets which fault.

Theory, as in Google's fakekms: faults stand in a queue; for each frame the first one that matches and is due is
used up and returned. A fault with `times` 0 stays until it is cleared. The action `pass` uses up a frame without harm.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from hsm_wire.statuses import Status

MAX_FAULTS = 1000  # armed at once: more is a mistake of the test
CONNECT = "connect"
PARTIAL = "partial"


class FaultError(ValueError):
    """A fault that cannot be armed; the text says why."""


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which frames a fault is for.

    `on` is `any` (any frame), `work` (any request but CHECK and USAGE), `connect` (a connection, before it was read),
    `partial` (an incomplete frame was read), a kind (`HELLO`, `PING`, `REQUEST`...) or an operation (`SIGN`...).
    """

    on: str = "any"
    every: int = 1
    """Only each k-th of the frames that match."""
    skip: int = 0
    """How many of the frames that match pass first."""
    key_id: str = ""
    """Hex; only requests that name this key first."""
    connection: int = 0
    """Only this connection, counted from 1."""
    peer: str = ""
    """Only peers whose identity (without TLS: the name in HELLO) contains this."""


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens, to which frames, how often (0 = until cleared)."""

    action: str
    match: Match | str = "any"
    times: int = 1
    options: dict[str, Any] = {}


class Occasion(msgspec.Struct, frozen=True):
    """What a fault is matched against: all words that name the frame, and whose it is."""

    words: frozenset[str]
    connection: int
    peer: str = ""
    key_id: str = ""


def fault(
    action: str,
    on: str = "any",
    *,
    times: int = 1,
    every: int = 1,
    skip: int = 0,
    key_id: str = "",
    connection: int = 0,
    peer: str = "",
    **options: Any,
) -> dict[str, Any]:
    """Return a fault as the control port takes it."""
    match = {"on": on, "every": every, "skip": skip, "key_id": key_id, "connection": connection, "peer": peer}
    return {"action": action, "match": match, "times": times, "options": options}


class _Armed:
    """A fault in the queue, and how often it was met."""

    def __init__(self, fault: Fault, match: Match) -> None:
        self.fault = fault
        self.match = match
        self.met = 0
        self.used = 0

    def due(self, occasion: Occasion) -> bool:
        """Count the occasion; say whether the fault strikes now."""
        match = self.match
        if match.on not in occasion.words:
            return False
        if match.key_id and match.key_id != occasion.key_id:
            return False
        if match.connection not in (0, occasion.connection) or match.peer not in occasion.peer:
            return False
        self.met += 1
        if self.met <= match.skip or (self.met - match.skip) % match.every:
            return False
        self.used += 1
        return True


class FaultQueue:
    """Armed faults, in order. `known` maps each action to its options' defaults."""

    def __init__(self, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._known = known
        self._armed: list[_Armed] = []

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, described: Mapping[str, Any]) -> None:
        """Append a fault given as plain data.

        Raises:
            FaultError: it makes no sense; the text says what to correct.
        """
        try:
            fault = msgspec.convert(described, Fault)
        except msgspec.ValidationError as error:
            raise FaultError(f"not a fault: {error}") from None
        match = Match(on=fault.match) if isinstance(fault.match, str) else fault.match
        if fault.action not in self._known:
            raise FaultError(f"unknown action {fault.action!r}; there are {', '.join(sorted(self._known))}")
        strange = set(fault.options) - set(self._known[fault.action])
        if strange:
            taken = ", ".join(sorted(self._known[fault.action])) or "none"
            raise FaultError(f"{fault.action} has no option {', '.join(sorted(strange))}; it takes {taken}")
        status = fault.options.get("status")
        if status is not None and status not in Status.__members__:
            raise FaultError(f"no status {status!r}; see hsm_wire.statuses")
        if match.every < 1 or match.skip < 0 or fault.times < 0:
            raise FaultError("every is at least 1, skip and times at least 0")
        if len(self._armed) >= MAX_FAULTS:
            raise FaultError(f"{MAX_FAULTS} faults are armed; clear some")
        self._armed.append(_Armed(fault, match))

    def clear(self) -> None:
        """Disarm everything."""
        self._armed = []

    def maybe_take(self, occasion: Occasion) -> Fault | None:
        """Use up the first fault that is due, with all its options filled in."""
        for armed in self._armed:
            if armed.due(occasion):
                if armed.used == armed.fault.times:
                    self._armed.remove(armed)
                found = armed.fault
                return Fault(found.action, found.match, found.times, {**self._known[found.action], **found.options})
        return None
