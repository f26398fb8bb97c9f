"""What the proxy finds out about the load and about itself."""

import random

from hsm_daemon import clock
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import NodeTable
from proxy.core.reporting.sentences import RELOAD_FAILED
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings
from proxy.observation import Observation


def made():
    table = NodeTable([], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    return Observation(dispatcher, 0.0), dispatcher


def test_nothing_is_wrong_at_first():
    observation, _ = made()
    observation.tick(1.0)
    assert observation.problems == ()


def test_overload_the_certificate_and_a_faulty_configuration_are_problems():
    observation, dispatcher = made()
    dispatcher.counters.overloaded["queue_full"] += 1
    observation.validity = (0.0, clock.now() + 3600)
    observation.reload_failed = True
    observation.tick(1.0)
    load, certificate, reload = observation.problems
    assert "queue_full" in load
    assert "certificate expires in" in certificate
    assert reload == RELOAD_FAILED
    assert [notice.text for notice in dispatcher.notices.take()] == [
        "overload begins", "this proxy's certificate expires soon"
    ]  # fmt: skip


def test_the_figures_follow_the_clock():
    observation, dispatcher = made()
    dispatcher.counters.answered(0x0201, 0, 0.001)
    for second in range(1, 13):
        observation.tick(float(second))
    assert observation.rates.traffic(12.0).all.per_second == 0.0
