"""Counters as Prometheus reads them."""

import random

from prometheus_client.parser import text_string_to_metric_families

from hsm_wire.messages import PartitionReport
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import OPERATIONAL_STATES, Node, NodeTable
from proxy.core.parties import Link
from proxy.core.requests.balancer import Balancer
from proxy.core.requests.dispatcher import Dispatcher
from proxy.core.settings import Settings
from proxy.metrics import Figures, ProxyCollector, metrics_page

FIGURES = Figures(
    "abc", 1, 2, 3, 4, 5, reload_successful=False, reloaded_at=1e9, validity=(1_900_000_000, 2_000_000_000)
)


def samples(figures=FIGURES):
    table = NodeTable([Node("n", "s", 1, [("a", "h:1")])], Settings(), 0.0)
    counters = Counters()
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), counters, 0.0, lambda f, now, who: b""
    )
    table.nodes[0].requests = 7
    counters.failovers = 3
    counters.answered(0x0201, 0, 0.0007)
    counters.answered(0x9999, 0x0102, 99.0)
    text = metrics_page(ProxyCollector(dispatcher, lambda: figures)).text().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_figures_are_there_under_the_names_of_the_contract():
    found = samples()
    assert found["hsm_proxy_node_requests_total", ("node", "n")] == 7
    assert found["hsm_proxy_failovers_total",] == 3
    assert found["hsm_proxy_requests_total", ("operation", "sign"), ("status_class", "ok")] == 1
    assert found["hsm_proxy_requests_total", ("operation", "unknown"), ("status_class", "request")] == 1
    assert found["hsm_proxy_requests_total", ("operation", "sign"), ("status_class", "device")] == 0
    assert found["hsm_proxy_configuration_info", ("hash", "abc")] == 1
    assert any(name == "hsm_proxy_build_info" for name, *_ in found)


def test_a_node_has_a_place_and_counts_in_the_rotation_or_not():
    table = NodeTable([Node(name, site, 1, [("a", "h:1")]) for name, site in ("ns", "mt")], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    table.rotation.append(table.nodes[0])
    figures = FIGURES._replace(roles={"s": "active", "t": "disaster-recovery"})
    text = metrics_page(ProxyCollector(dispatcher, lambda: figures)).text().decode()
    assert 'hsm_proxy_node_info{node="n",role="active",site="s"} 1.0' in text
    assert 'hsm_proxy_node_info{node="m",role="disaster-recovery",site="t"} 1.0' in text
    assert 'hsm_proxy_node_in_rotation{node="n",site="s"} 1.0' in text
    assert 'hsm_proxy_node_in_rotation{node="m",site="t"} 0.0' in text


def test_a_lost_site_and_a_lost_uplink_are_seen_by_the_labels_of_paths():
    found = samples(FIGURES._replace(shortfalls=2))
    assert found["hsm_proxy_path_up", ("node", "n"), ("path", "a"), ("site", "s")] == 0
    assert found["hsm_proxy_package_shortfalls",] == 2


def test_requests_are_told_by_path_also_of_links_that_are_gone():
    table = NodeTable([Node("n", "s", 1, [("a", "h:1"), ("b", "h:2")])], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    path = table.nodes[0].paths[0]
    for bulk in (False, True):
        link = Link(path, lambda raw: None, bulk=bulk)
        link.take_id()
        path.link, path.bulk = (path.link, link) if bulk else (link, None)
        path.drop(link)
    path.link, path.bulk = Link(path, lambda raw: None), Link(path, lambda raw: None, bulk=True)
    for link in (path.link, path.bulk):
        link.take_id()
    text = metrics_page(ProxyCollector(dispatcher, lambda: FIGURES)).text().decode()
    assert 'hsm_proxy_path_requests_total{node="n",path="a",site="s"} 4.0' in text
    assert 'hsm_proxy_path_requests_total{node="n",path="b",site="s"} 0.0' in text


def test_how_long_a_node_takes_is_a_histogram_of_its_own():
    table = NodeTable([Node("n", "s", 1, [("a", "h:1")])], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    node = table.nodes[0]
    node.answer_time_s, node.slowness = 0.5, 0.125
    node.duration_buckets[0] += 1
    node.duration_buckets[-1] += 3
    text = metrics_page(ProxyCollector(dispatcher, lambda: FIGURES)).text().decode()
    assert 'hsm_proxy_node_answer_duration_seconds_count{node="n"} 4.0' in text
    assert 'hsm_proxy_node_answer_duration_seconds_sum{node="n"} 0.5' in text
    assert 'hsm_proxy_node_answer_duration_seconds_bucket{le="10.0",node="n"} 1.0' in text
    assert 'hsm_proxy_node_slowness{node="n"} 0.125' in text


def test_a_node_s_state_is_one_hot():
    found = samples()
    states = {s: found["hsm_proxy_node_state", ("node", "n"), ("state", s)] for s in OPERATIONAL_STATES}
    assert states == {s: float(s == "down") for s in OPERATIONAL_STATES}


def test_the_histogram_adds_up():
    found = samples()
    name = "hsm_proxy_request_duration_seconds"
    assert found[f"{name}_bucket", ("le", "0.00063")] == 0
    assert found[f"{name}_bucket", ("le", "0.001")] == 1
    assert found[f"{name}_bucket", ("le", "+Inf")] == found[f"{name}_count",] == 2


def test_what_the_shell_counts_is_there_too():
    found = samples()
    for name, value in {
        "clients": 1,
        "handshakes_in_progress": 2,
        "handshakes_failed_total": 3,
        "connections_refused_total": 4,
        "stalls_total": 5,
        "configuration_last_reload_successful": 0,
        "configuration_last_reload_seconds": 1e9,
        "certificate_not_before_seconds": 1.9e9,
        "certificate_not_after_seconds": 2e9,
    }.items():
        assert found[f"hsm_proxy_{name}",] == value


def test_without_tls_no_certificate_expires():
    assert not any("certificate" in name for name, *_ in samples(Figures("abc")))


def test_what_comparing_the_nodes_stores_found_is_there():
    table = NodeTable([Node(name, "s", 1, [("a", "h:1")]) for name in "abc"], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    page = metrics_page(ProxyCollector(dispatcher, lambda: FIGURES))
    assert "hsm_proxy_store_disagreements 0.0" in page.text().decode()
    one, two, _ = table.nodes
    one.store_faults = {"behind": "late", "digest": "other"}
    two.store_faults = {"digest": "other"}
    text = page.text().decode()
    assert "hsm_proxy_store_disagreements 2.0" in text
    assert 'hsm_proxy_node_store_fault{fault="behind",node="a"} 1.0' in text
    assert 'hsm_proxy_node_store_fault{fault="behind",node="b"} 0.0' in text
    assert 'hsm_proxy_node_store_fault{fault="digest",node="b"} 1.0' in text
    assert 'hsm_proxy_node_store_fault{fault="epoch",node="c"} 0.0' in text


def test_what_partitions_have_used_is_there_and_limits_where_there_are_some():
    partitions = [PartitionReport("cards", 81, 2, 12, 3, 864_000, 1, 1_000), PartitionReport("free", 5, 0, 7, 0)]
    found = samples(FIGURES._replace(partitions=partitions))
    for name, value in {
        "signatures": 81,
        "signatures_limit": 864_000,
        "generations": 2,
        "stored_keys": 12,
        "stored_keys_limit": 1_000,
        "refused_total": 3,
    }.items():
        assert found[f"hsm_proxy_partition_{name}", ("partition", "cards")] == value
    assert found["hsm_proxy_partition_signatures", ("partition", "free")] == 5
    assert ("hsm_proxy_partition_signatures_limit", ("partition", "free")) not in found


def test_how_far_a_node_is_behind_is_there_while_it_is_reached():
    table = NodeTable([Node(name, "s", 1, [("a", "h:1")]) for name in "ab"], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    for node in table.nodes:
        node.lag_records, node.lag_s = 3, 0.25
    table.nodes[0].paths[0].up = True
    text = metrics_page(ProxyCollector(dispatcher, lambda: FIGURES)).text().decode()
    assert 'hsm_proxy_node_lag_records{node="a"} 3.0' in text
    assert 'hsm_proxy_node_lag_seconds{node="a"} 0.25' in text
    assert 'node="b"' not in "".join(line for line in text.splitlines() if "_lag_" in line)


def test_a_node_that_changes_name_is_there_also_when_it_is_out_of_the_configuration():
    table = NodeTable([Node(name, "s", 1, [("p", "h:1")]) for name in ("a", "b")], Settings(), 0.0)
    dispatcher = Dispatcher(
        table, Balancer(table, random.Random(1)), Settings(), Counters(), 0.0, lambda f, now, who: b""
    )
    table.nodes[0].paths[0].up = True
    table.nodes[0].nodes_out = ["b", "z"]
    text = metrics_page(ProxyCollector(dispatcher, lambda: FIGURES)).text().decode()
    found = [line for line in text.splitlines() if line.startswith("hsm_proxy_node_out{")]
    assert found == [f'hsm_proxy_node_out{{node="{name}"}} {value}.0' for name, value in (("a", 0), ("b", 1), ("z", 1))]
