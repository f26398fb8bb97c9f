"""The check of a path, by a clock that the test moves."""

import pytest

from hsm_wire import kinds
from hsm_wire.frames import FrameSplitter
from proxy.core.checks.path_health import FAST_ATTEMPTS, PathHealth, Step
from proxy.core.nodes.pings import Pings
from proxy.core.settings import HealthSettings, Settings


class Middle:
    """Chance that varies no interval."""

    def random(self):
        return 0.5


@pytest.fixture
def health():
    return PathHealth(Settings(health=HealthSettings()), Middle(), Pings(), 0.0)


def raise_up(health, now=0.0):
    assert health.step(now, hurry=False) is Step.CONNECT
    health.opened(now)
    assert health.step(now, hurry=False) is Step.PING
    assert health.answered(health.ping_id, now, hurry=False)


def test_one_answer_is_enough_for_a_path_that_was_never_up(health):
    raise_up(health)
    assert health.up
    assert health.step(0.9, hurry=False) is Step.NOTHING
    assert health.step(1.0, hurry=False) is Step.PING


def test_a_path_that_comes_back_needs_two_answers_in_a_row(health):
    raise_up(health)
    health.lost(10.0)
    assert not health.up
    assert health.step(10.2, hurry=False) is Step.NOTHING
    assert health.step(10.25, hurry=False) is Step.CONNECT
    assert health.step(11.0, hurry=False) is Step.NOTHING, "one attempt at a time"
    health.opened(11.0)
    assert health.step(11.0, hurry=False) is Step.PING
    assert not health.answered(health.ping_id, 11.0, hurry=False)
    assert health.step(11.25, hurry=False) is Step.PING
    assert health.answered(health.ping_id, 11.3, hurry=False)


def test_while_no_node_serves_one_answer_brings_it_back(health):
    raise_up(health)
    health.lost(10.0)
    health.step(10.25, hurry=True)
    health.opened(10.3)
    health.step(10.3, hurry=True)
    assert health.answered(health.ping_id, 10.3, hurry=True)


def test_three_missing_answers_in_a_row_take_a_path_out(health):
    raise_up(health)
    steps = []
    now = 1.0
    while Step.LOST not in steps:
        steps.append(health.step(now, hurry=False))
        now += 0.05
    assert steps.count(Step.PING) == 3
    assert now == pytest.approx(1.0 + 3 * 0.5 + 2 * 0.25, abs=0.25)


def test_an_answer_between_silences_starts_the_count_again(health):
    raise_up(health)
    assert health.step(1.0, hurry=False) is Step.PING
    assert health.step(1.5, hurry=False) is Step.NOTHING
    assert health.missed == 1
    assert health.step(1.75, hurry=False) is Step.PING
    health.answered(health.ping_id, 1.8, hurry=False)
    assert health.missed == 0
    assert health.up


def test_a_late_answer_counts_for_nothing(health):
    raise_up(health)
    health.step(1.0, hurry=False)
    health.step(1.5, hurry=False)
    assert not health.answered(health.ping_id, 1.6, hurry=False)
    assert not health.answered(999, 1.6, hurry=False)
    assert health.missed == 1


def test_a_dead_path_is_tried_fast_at_first_then_slowly_and_fast_in_a_hurry(health):
    raise_up(health)
    now = 10.0
    for _ in range(FAST_ATTEMPTS):
        health.lost(now)
        now += 0.25
        assert health.step(now, hurry=False) is Step.CONNECT
    health.lost(now)
    assert health.step(now + 1.9, hurry=False) is Step.NOTHING
    assert health.step(now + 2.0, hurry=False) is Step.CONNECT
    health.lost(now)
    assert health.step(now, hurry=True) is Step.NOTHING
    assert health.step(now + 0.25, hurry=True) is Step.CONNECT


@pytest.mark.parametrize(("chance", "factor"), [(0.0, 0.8), (1.0, 1.2)])
def test_intervals_vary_by_a_fifth(chance, factor):
    class Fixed:
        def random(self):
            return chance

    health = PathHealth(Settings(health=HealthSettings()), Fixed(), Pings(), 0.0)
    raise_up(health)
    assert health.step(factor - 0.01, hurry=False) is Step.NOTHING
    assert health.step(factor + 0.001, hurry=False) is Step.PING


def test_a_ping_under_way_while_the_proxy_stood_still_is_asked_anew(health):
    raise_up(health)
    health.step(1.0, hurry=False)
    old = health.ping_id
    health.forgive(30.0)
    assert health.step(30.0, hurry=False) is Step.PING
    assert health.missed == 0
    assert not health.answered(old, 30.0, hurry=False)
    assert health.ping_sent_at == 30.0, "the old answer is not the new question's"


def test_forgiving_does_not_put_off_what_was_due(health):
    raise_up(health)
    health.forgive(0.5)
    assert health.step(0.5, hurry=False) is Step.PING


def test_misses_before_the_proxy_stood_still_stay_counted(health):
    raise_up(health)
    for now in (1.0, 1.5, 1.75, 2.25):
        health.step(now, hurry=False)
    assert health.missed == 2
    health.forgive(9.0)
    assert health.missed == 2


def test_the_ping_carries_the_id_that_its_answer_must_have(health):
    raise_up(health)
    health.step(1.0, hurry=False)
    (frame,) = FrameSplitter(1 << 20).split(health.ping)
    assert (frame.kind, frame.request_id) == (kinds.PING, health.ping_id) == (kinds.PING, 2)


def test_an_attempt_that_hangs_is_not_waited_for_while_no_current_node_is_there(health):
    assert health.step(0.0, hurry=True) is Step.CONNECT
    assert health.step(0.49, hurry=True) is Step.NOTHING
    assert health.step(0.5, hurry=False) is Step.NOTHING
    assert health.step(0.5, hurry=True) is Step.CONNECT
    assert health.step(0.99, hurry=True) is Step.NOTHING
    assert health.step(1.0, hurry=True) is Step.CONNECT
    health.opened(1.1)
    assert health.step(1.1, hurry=True) is Step.PING


def test_while_its_answers_are_missing_a_path_is_pinged_at_the_fast_interval(health):
    raise_up(health)
    health.step(1.0, hurry=False)
    health.step(1.5, hurry=False)
    assert health.step(1.74, hurry=False) is Step.NOTHING
    assert health.step(1.75, hurry=False) is Step.PING


def test_a_path_that_was_never_up_is_tried_every_two_seconds(health):
    health.step(0.0, hurry=False)
    health.lost(0.0)
    assert health.step(1.99, hurry=False) is Step.NOTHING
    assert health.step(2.0, hurry=False) is Step.CONNECT


def test_an_answer_of_a_path_that_is_up_does_not_raise_it_again(health):
    raise_up(health)
    health.step(1.0, hurry=False)
    assert not health.answered(health.ping_id, 1.1, hurry=False)
    assert health.up


def test_what_is_due_next_can_be_done_at_once(health):
    raise_up(health)
    assert health.step(0.5, hurry=False) is Step.NOTHING
    health.hasten(0.5)
    assert health.step(0.5, hurry=False) is Step.PING
    health.hasten(0.6)
    assert health.step(0.6, hurry=False) is Step.NOTHING, "one is under way"
