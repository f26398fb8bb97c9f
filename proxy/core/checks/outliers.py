"""Passive checks: what clients' own requests tell of a node.

Ejection: too many errors in a row, or as a share of the answers of the last second.

Slowness: a node that takes several times as long as the others, with the way to it taken off, gets a smaller share
of the draw: the cube of the ratio, so that fewer than one request in a hundred meets a node that is ten times
slower. It is not taken out: it works, and its in-flight cap holds anyway. The way to it is its fastest PING; so a
distant node is not a slow one.
"""

from collections import deque
from math import inf
from statistics import median
from typing import Final

from proxy.core.nodes.node_table import Node
from proxy.core.notices import Notices
from proxy.core.settings import Settings

SAMPLE_S: Final = 0.25
"""Between looks at the counts."""
_MEAN_WEIGHT: Final = 0.8
"""Share of the newest sample in the moving mean of a node's answer time."""
_MINIMUM_ANSWERS: Final = 50
"""Answers that make a sample: fewer say more of which operations there were than of the node."""
_SLOW_MINIMUM_ANSWERS: Final = 5
"""The same for a node that was found slow and gets few requests, once it took `_SLOW_SAMPLE_S` to gather them."""
_SLOW_SAMPLE_S: Final = 2.0
SLOW_MEMORY_S: Final = 60.0
"""Without that many answers for so long, what made a node slow is forgotten: the clients may have gone home, and an
idle cluster would be called degraded all night."""
_SMALLEST_SHARE: Final = 0.005
"""What the slowest node keeps: enough answers to see that it is well again."""


class Outlier:
    """The passive check of one node."""

    __slots__ = ("_answered", "_looks", "_node", "_sampled_at", "_settings", "_took_s", "mean_s", "round_trip_s")

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._settings = settings
        self._looks: deque[tuple[float, int, int]] = deque()
        self._answered = 0
        self._took_s = 0.0
        self._sampled_at = 0.0
        self.mean_s = 0.0
        """Moving mean of the time of an answer, without the way; 0 = not known."""
        self.round_trip_s = inf
        """Fastest PING of the path in use."""

    def forget(self) -> None:
        """Begin anew: the node was out, or is another process."""
        self._looks.clear()
        self._node.errors_in_a_row = 0
        self.mean_s = 0.0

    def look(self, now: float) -> None:
        """Note the counts, and what the way to the node holds; called every SAMPLE_S."""
        node = self._node
        looks = self._looks
        looks.append((now, node.answers, node.errors))
        while len(looks) > 1 and looks[1][0] <= now - self._settings.ejection.window_s:
            looks.popleft()
        since, answers_then, _ = looks[0]
        if now > since and self.round_trip_s < inf:
            node.on_the_way = int((node.answers - answers_then) / (now - since) * self.round_trip_s)
        answers, took_s = node.answers - self._answered, node.answer_time_s - self._took_s
        few = node.slowness < 1.0 and now - self._sampled_at >= _SLOW_SAMPLE_S
        if answers >= (_SLOW_MINIMUM_ANSWERS if few else _MINIMUM_ANSWERS):
            self._sampled_at = now
            self._answered, self._took_s = node.answers, node.answer_time_s
            newest = max(0.0, took_s / answers - min(self.round_trip_s, took_s / answers))
            self.mean_s = newest if not self.mean_s else self.mean_s + _MEAN_WEIGHT * (newest - self.mean_s)
        elif node.slowness < 1.0 and now - self._sampled_at >= SLOW_MEMORY_S:
            self._sampled_at = now
            self._answered, self._took_s = node.answers, node.answer_time_s
            self.mean_s = 0.0

    def verdict(self) -> str:
        """Return why the node is to be ejected; empty if it is not."""
        node = self._node
        ejection = self._settings.ejection
        if node.errors_in_a_row >= ejection.consecutive:
            return f"{node.errors_in_a_row} errors in a row"
        if not self._looks:
            return ""
        _, answers_then, errors_then = self._looks[0]
        errors = node.errors - errors_then
        answers = node.answers - answers_then
        if answers >= ejection.minimum_answers and errors >= ejection.share * answers:
            return f"{errors} errors in {answers} answers"
        return ""


def weigh(outliers: "list[tuple[Node, Outlier]]", settings: Settings, notices: Notices) -> None:
    """Set the slowness of each node of the rotation; tell of one that begins or ends."""
    ejection = settings.ejection
    known = {node: outlier.mean_s for node, outlier in outliers if outlier.mean_s > 0.0}
    for node, _ in outliers:
        others = [mean_s for other, mean_s in known.items() if other is not node]
        mean_s = known.get(node, 0.0)
        usual_s = median(others) if others else mean_s
        if mean_s > ejection.slow_minimum_s and mean_s > ejection.slow_factor * usual_s:
            if node.slowness == 1.0:
                notices.add("a node is slow and gets less", node=node.name, mean_s=mean_s, others_s=usual_s)
            node.slowness = max(_SMALLEST_SHARE, (usual_s / mean_s) ** 3)
        else:
            if node.slowness < 1.0:
                if mean_s:
                    text = "a node is as fast as the others again"
                    notices.add(text, level="info", node=node.name, mean_s=mean_s, others_s=usual_s)
                else:
                    notices.add("a node has its full share again, it may be slow", level="info", node=node.name)
            node.slowness = 1.0
