"""Requests that kill nodes.

A request that was in flight at two abnormal losses of a node is not sent a third time. Innocent ones were in flight
at the first loss too; so from then on each of them is a suspect, and a node gets suspects one at a time: who is
alone with a node when it dies has done it. If other nodes die in the same moment, by a power cut, say, the loss
proves nothing, and the suspect stays one. Nor do two losses of different kinds: a process that crashed, one that hangs,
and a machine, or the way to it, that is gone (`Link.arrived_until`).
"""

from collections import deque
from contextlib import suppress
from typing import Final

import msgspec

from hsm_wire.errors import BodyError
from hsm_wire.forms import decode_body
from hsm_wire.frames import Frame
from hsm_wire.operations import OPERATIONS
from proxy.core.nodes.node_table import Node
from proxy.core.parties import Request
from proxy.core.principals import Bound
from proxy.core.settings import Settings

MAX_BANS: Final = 1_024
"""Poisonous (partition, operation, key) remembered at a time; beyond it the oldest is forgotten."""
_MAX_LOSSES: Final = 64
"""Losses of nodes remembered: more than happen in a verdict's time."""
_SUSPECTS_A_ROUND: Final = 64
"""With more suspects than this, nodes get several at a time: a node lost under full load had hundreds of requests
in flight, and one at a time they would wait longer than the fault lasts."""


class Ban(msgspec.Struct, frozen=True):
    """What is refused: an operation of a partition with a key; where it names none, that operation of one identity."""

    partition: int
    opcode: int
    key_id: bytes
    identity: str
    """Empty where there is a key. Without one the whole partition would lose RANDOM for what one client asked."""


class Poison:
    """Judges suspects, and remembers what was found guilty."""

    __slots__ = ("_losses", "_settings", "bans")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.bans: dict[Ban, float] = {}
        """What is refused, and until when."""
        self._losses: deque[tuple[float, Node]] = deque(maxlen=_MAX_LOSSES)

    @staticmethod
    def suspects_at_once(waiting: int) -> int:
        """Return how many suspects one node gets at a time, with so many waiting."""
        return max(1, waiting // _SUSPECTS_A_ROUND)

    def node_lost(self, node: Node, now: float) -> None:
        """Note an abnormal loss of a node."""
        self._losses.append((now, node))

    def guilty(self, request: Request, now: float, *, served: bool) -> bool:
        """Say whether a request lost two nodes by itself; `served` says whether any node is in rotation now."""
        if not served:
            return False
        since = now - 2 * self._settings.retry.verdict_s
        return not any(at >= since and node not in request.tried for at, node in self._losses)

    def ban(self, request: Request, now: float) -> Ban:
        """Refuse its like for a while; return what that is."""
        if len(self.bans) >= MAX_BANS:
            del self.bans[next(iter(self.bans))]
        ban = _ban(request.client.principal, request.frame)
        self.bans[ban] = now + self._settings.retry.poison_s
        return ban

    def banned(self, principal: Bound, frame: Frame, now: float) -> bool:
        """Say whether its like was found guilty a short time ago. Ask only if there are any bans: it reads the body."""
        ban = _ban(principal, frame)
        until = self.bans.get(ban)
        if until is None:
            return False
        if until <= now:
            del self.bans[ban]
            return False
        return True


def _ban(principal: Bound, frame: Frame) -> Ban:
    key_id = b""
    operation = OPERATIONS.get(frame.opcode)
    if operation is not None:
        with suppress(BodyError):  # a body that nobody can read is its own kind of poison: without a key
            key_id = getattr(decode_body(operation.request, frame.body), "key_id", b"") or b""
    return Ban(principal.partition, frame.opcode, key_id, "" if key_id else principal.identity)
