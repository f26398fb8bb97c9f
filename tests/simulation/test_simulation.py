"""300 seeds, the same run from the same seed, and broken cores that must be caught."""

from collections.abc import Callable, Sequence

import pytest
from sim_engine import ViolationError
from sim_node import NodeEnd, SimNode
from sim_run import simulate

from hsm_wire.frames import Frame, readdress_response
from proxy.core.checks import node_watch
from proxy.core.checks.progress import Progress
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.parties import Request
from proxy.core.requests import dispatcher, switch
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.budget import RetryBudget
from proxy.core.requests.failover import Failover
from proxy.core.requests.poison import Poison
from proxy.core.requests.switch import Switch

SEEDS = 300
BATCH = 20
CONTROL_SEEDS = 40
"""Seeds within which a broken core must be caught; most are in the first few."""


@pytest.mark.parametrize("first", range(0, SEEDS, BATCH))
def test_no_invariant_breaks_under_drawn_faults(first: int) -> None:
    for seed in range(first, first + BATCH):
        assert simulate(seed).requests > 0


def test_the_same_seed_gives_the_same_events_byte_for_byte() -> None:
    for seed in (3, 11, 25):
        first, second = simulate(seed, keep_log=True), simulate(seed, keep_log=True)
        assert first.log
        assert "\n".join(first.log).encode() == "\n".join(second.log).encode()


def test_another_seed_gives_another_run() -> None:
    assert simulate(3, keep_log=True).log != simulate(4, keep_log=True).log


@pytest.mark.replaces_code
def test_a_failing_seed_is_named_with_the_command_that_replays_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_twice(monkeypatch)
    with pytest.raises(ViolationError, match=r"seed 0 .*run_simulation\.py --seeds 0 --log"):
        simulate(0)


# ---- negative controls: each breaks the core in one way -----------------------------------------------------------


def answer_twice(patch: pytest.MonkeyPatch) -> None:
    """Give a client its answer, and again."""
    finish = Switch.finish

    def broken(self: Switch, request: Request, raw: bytes, status: int, now: float) -> None:
        finish(self, request, raw, status, now)
        request.client.sink(raw)

    patch.setattr(Switch, "finish", broken)


def not_count(patch: pytest.MonkeyPatch) -> None:
    """Forget to count an answer that came."""
    detach = Switch.detach

    def broken(self: Switch, request: Request) -> None:
        link = request.link
        detach(self, request)
        if link is not None:
            link.node.in_flight += 1

    patch.setattr(Switch, "detach", broken)


def ignore_the_window(patch: pytest.MonkeyPatch) -> None:
    """Send to any node of the rotation, full or not."""

    def broken(self: Balancer, tried: Sequence[Node] = ()) -> Node | None:
        return next((node for node in self._table.rotation if node not in tried), None)

    patch.setattr(Balancer, "maybe_node", broken)


def lose_requests_with_their_link(patch: pytest.MonkeyPatch) -> None:
    """Do nothing for what was in flight on a link that is gone."""
    patch.setattr(Failover, "_lost", lambda self, request, node, now, *, lost: None)


def answer_another_id(patch: pytest.MonkeyPatch) -> None:
    """Give a client's answer to another one of its requests."""

    def broken(frame: Frame, request_id: int) -> bytes:
        return readdress_response(frame, request_id + (frame.operation_id % 7 == 0))

    patch.setattr(dispatcher, "readdress_response", broken)


def not_hear_silence(patch: pytest.MonkeyPatch) -> None:
    """Leave a silent node in rotation."""
    patch.setattr(node_watch, "silent", lambda node, settings, now: [])


def eject_the_last_node(patch: pytest.MonkeyPatch) -> None:
    """Take the last node out as well."""
    patch.setattr(NodeTable, "spares", lambda self, node: True)


def refuse_often(patch: pytest.MonkeyPatch) -> None:
    """Let nodes refuse every fourth request as not executed: no breakage, but what makes one less seldom."""
    request = SimNode._request

    def often(self: SimNode, end: NodeEnd, frame: Frame) -> None:
        self.not_current_share = 0.25
        request(self, end, frame)

    patch.setattr(SimNode, "_request", often)


def spend_without_budget(patch: pytest.MonkeyPatch) -> None:
    """Send again without limit."""
    patch.setattr(RetryBudget, "take", lambda self: True)


def acquit_everybody(patch: pytest.MonkeyPatch) -> None:
    """Let poison take one node after the other."""
    patch.setattr(Poison, "guilty", lambda self, request, now, *, served: False)


def forget_deadlines(patch: pytest.MonkeyPatch) -> None:
    """Answer a second late."""
    due = dispatcher.Dispatcher._due

    def broken(self: dispatcher.Dispatcher, request: Request, now: float) -> None:
        if now < request.deadline + 1.0:
            self._switch.wheel.file(request, request.deadline + 1.0)
        else:
            due(self, request, now)

    patch.setattr(dispatcher.Dispatcher, "_due", broken)


def keep_what_is_owed(patch: pytest.MonkeyPatch) -> None:
    """Never give up an answer that a node owes."""
    patch.setattr(dispatcher.Dispatcher, "_forget", lambda self, owed: None)


def not_see_a_block(patch: pytest.MonkeyPatch) -> None:
    """Leave a node in rotation that answers PING and finishes nothing."""
    patch.setattr(Progress, "stands_still", lambda self, completed, oldest, settings, now: False)


@pytest.mark.replaces_code
@pytest.mark.parametrize(
    ("breakage", "first"),
    [
        (answer_twice, 0),
        (not_count, 0),
        (ignore_the_window, 0),
        (lose_requests_with_their_link, 0),
        (answer_another_id, 0),
        (not_hear_silence, 0),
        (eject_the_last_node, 0),
        (spend_without_budget, 60),
        (acquit_everybody, 0),
        (forget_deadlines, 0),
        (keep_what_is_owed, 0),
        (not_see_a_block, 380),  # seldom: mostly time-outs take such a node out first
    ],
)
def test_a_broken_core_is_caught(
    breakage: Callable[[pytest.MonkeyPatch], None], first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    breakage(monkeypatch)
    with pytest.raises(ViolationError):
        for seed in range(first, first + CONTROL_SEEDS):
            simulate(seed)


@pytest.mark.replaces_code
def test_a_core_that_says_not_executed_of_what_another_node_had_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it is seldom that two nodes have a request and the second one refuses it."""
    seeds = (8, 9, 21, 23)  # of flavours whose requests may fail: nodes that refuse so often let patient ones fail
    refuse_often(monkeypatch)
    for seed in seeds:
        simulate(seed)
    monkeypatch.setattr(switch, "NOT_EXECUTED", 0)
    with pytest.raises(ViolationError, match="not executed"):
        for seed in seeds:
            simulate(seed)
