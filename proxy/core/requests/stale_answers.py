"""Answers that are marked as stale, while a node is held to be current: kept until that is known.

Theory: docs/consistency.md, (c). What is held of a node may be old. So those that are held to be current are asked at
once: one that is has the request, and the marked answer is dropped; if none is, the answer is passed on.
"""

from collections.abc import Iterable
from math import inf
from typing import Final

from hsm_wire.frames import Frame, readdress_response
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Request
from proxy.core.requests.switch import Switch

UNREACHED_S: Final = 0.5
"""For a node that is held to be current to answer: the time-out of a check. Then it is not reached."""

ASK_AGAIN_S: Final = 0.1
"""Between two questions to a node that has not answered: thousands of answers may be marked in one moment."""


class _Kept:
    """An answer, and who gave it."""

    __slots__ = ("answer", "node", "until")

    def __init__(self, answer: Frame, node: Node, until: float) -> None:
        self.answer = answer
        self.node = node
        self.until = until


class StaleAnswers:
    """Requests whose answer is kept. They are with no node."""

    __slots__ = ("_asked", "_kept", "_switch", "_table")

    def __init__(self, switch: Switch, table: NodeTable) -> None:
        self._switch = switch
        self._table = table
        self._kept: dict[Request, _Kept] = {}
        self._asked: dict[Node, float] = {}
        """Nodes that have not answered since."""

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, request: Request, answer: Frame, node: Node, now: float) -> None:
        """Take an answer that is marked; its request was taken off its link."""
        held = self._table.reachable
        if not held:
            self._pass(request, answer, node, now)
            return
        request.may_have_run = True
        self._kept[request] = _Kept(answer, node, now + UNREACHED_S)
        self._switch.wheel.file(request, min(request.deadline, now + UNREACHED_S))
        self._ask(held, now)

    def discard(self, request: Request) -> bool:
        """Let go of a request that nobody waits for; whether it was here."""
        return self._kept.pop(request, None) is not None

    def heard(self, node: Node, now: float) -> None:
        """Note that a node has answered a check: it is in the table what it is now."""
        self._asked.pop(node, None)
        if node in self._table.reachable:
            for request in list(self._kept):
                del self._kept[request]
                self._switch.counters.stale_dropped += 1
                self._switch.send(request, node, now)
        else:
            self.settle(now)

    def settle(self, now: float) -> None:
        """Pass on what is kept for nobody: no node is held to be current any more."""
        if not self._table.reachable:
            for request, kept in list(self._kept.items()):
                del self._kept[request]
                self._pass(request, kept.answer, kept.node, now)

    def over(self, request: Request, now: float) -> bool:
        """Pass an answer on whose time is over; whether there was one."""
        kept = self._kept.get(request)
        if kept is None or now < kept.until:
            return False
        del self._kept[request]
        self._pass(request, kept.answer, kept.node, now)
        return True

    def _ask(self, nodes: Iterable[Node], now: float) -> None:
        for node in nodes:
            if node.link is not None and now - self._asked.get(node, -inf) >= ASK_AGAIN_S:
                self._asked[node] = now
                node.link.sink(node.pings.next())

    def _pass(self, request: Request, answer: Frame, node: Node, now: float) -> None:
        self._switch.counters.stale_passed += 1
        node.requests += 1
        raw = readdress_response(answer, request.client_id)
        self._switch.finish(request, raw, answer.status, now, node)
