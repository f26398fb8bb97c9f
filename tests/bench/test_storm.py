"""Clients that come back all at once, at the pace that the proxy accepts them."""

import pytest

from bench.storm import Storm, run
from proxy.core.settings import Limits

HANDSHAKE_S = 0.0016


def test_the_same_seed_gives_the_same() -> None:
    storm = Storm("one of two is lost", 100, 3)
    assert run(storm, HANDSHAKE_S, 7) == run(storm, HANDSHAKE_S, 7) != run(storm, HANDSHAKE_S, 8)


def test_connections_of_a_lost_proxy_are_taken_by_the_others_at_their_pace() -> None:
    outcome = run(Storm("one of three is lost", 600, 3), HANDSHAKE_S)
    assert outcome.lost == pytest.approx(400, abs=60)
    assert outcome.never == 0
    assert outcome.all_s == pytest.approx(outcome.lost / 2 / 300, abs=0.3)


def test_each_of_two_connections_stays_with_its_proxy_until_that_is_back() -> None:
    outcome = run(Storm("one of two is away", 100, 2, down_s=1.0), HANDSHAKE_S)
    assert outcome.never == 0
    assert 1.0 < outcome.half_s < outcome.all_s < 4.0


def test_a_crowd_above_the_allowance_takes_longer_and_comes_back_all_the_same() -> None:
    storm = Storm("the only one is away", 2_000, 1, connections=1, down_s=0.5)
    slow = run(storm, HANDSHAKE_S)
    fast = run(storm._replace(limits=Limits(handshakes_crowd=2_000)), HANDSHAKE_S)
    assert slow.never == fast.never == 0
    assert slow.all_s > fast.all_s
    assert slow.gone > 0
    assert 0 < fast.loop_share <= 1
