"""Counters as Prometheus reads them."""

import random

from prometheus_client.parser import text_string_to_metric_families

from proxy.core.balancer import Balancer
from proxy.core.counters import Counters
from proxy.core.dispatcher import Dispatcher
from proxy.core.node_table import OPERATIONAL_STATES, Node, NodeTable
from proxy.core.settings import Settings
from proxy.metrics import ProxyCollector, exposition


def samples():
    table = NodeTable([Node("n", "s", 1, [("a", "h:1")])], Settings(), 0.0)
    counters = Counters()
    dispatcher = Dispatcher(table, Balancer(table, random.Random(1)), Settings(), counters, 0.0, lambda f, now: b"")
    table.nodes[0].requests = 7
    counters.failovers = 3
    counters.answered(0x0201, 0, 0.0007)
    counters.answered(0x9999, 0x0102, 99.0)
    text = exposition(ProxyCollector(dispatcher, "hsm-proxy 1", "abc")).decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_are_there_under_the_names_of_the_contract():
    found = samples()
    assert found["hsm_proxy_node_requests_total", ("node", "n")] == 7
    assert found["hsm_proxy_failovers_total",] == 3
    assert found["hsm_proxy_requests_total", ("operation", "SIGN"), ("status_class", "ok")] == 1
    assert found["hsm_proxy_requests_total", ("operation", "UNKNOWN"), ("status_class", "request")] == 1
    assert found["hsm_proxy_configuration_info", ("hash", "abc")] == 1
    assert found["hsm_proxy_build_info", ("version", "hsm-proxy 1")] == 1


def test_a_node_s_state_is_one_hot():
    found = samples()
    states = {s: found["hsm_proxy_node_state", ("node", "n"), ("state", s)] for s in OPERATIONAL_STATES}
    assert states == {s: float(s == "down") for s in OPERATIONAL_STATES}


def test_the_histogram_adds_up():
    found = samples()
    name = "hsm_proxy_request_duration_seconds"
    assert found[f"{name}_bucket", ("le", "0.0005")] == 0
    assert found[f"{name}_bucket", ("le", "0.001")] == 1
    assert found[f"{name}_bucket", ("le", "+Inf")] == found[f"{name}_count",] == 2
