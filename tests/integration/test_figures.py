"""What a proxy tells of itself: `/status`, STATUS and EVENTS over the wire, and `/metrics` have the same numbers."""

import asyncio
import json
from typing import Any

import pytest
from cluster import Cluster
from programs import get
from prometheus_client.parser import text_string_to_metric_families

from hsm_client import connect
from hsm_wire import messages as m

pytestmark = pytest.mark.other_loop_in_system

REQUESTS = 300
WINDOW_S = 10.6
"""Longest time that a rate is over."""
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def metrics(cluster: Cluster) -> Samples:
    """Return each sample of the proxy's page by its name and labels."""
    _, text = get(cluster.proxy.admin_port, "/metrics")
    families = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def per_node(samples: Samples, name: str) -> dict[str, float]:
    return {dict(labels)["node"]: value for (found, labels), value in samples.items() if found == name}


def answers(samples: Samples) -> float:
    """Return the answers to clients, but for those that the proxy gives about itself."""
    return sum(
        value
        for (name, labels), value in samples.items()
        if name == "hsm_proxy_requests_total" and dict(labels)["operation"] not in ("status", "events")
    )


async def load(cluster: Cluster) -> tuple[m.StatusResult, dict[str, Any], m.EventsResult, Samples]:
    """Sign, and return at once what the proxy then says in each of its ways."""
    async with connect(cluster.client_config, timeout_s=30) as hsm:
        key = await hsm.generate_key("ed25519")
        for _ in range(REQUESTS // 20):
            await asyncio.gather(*(key.sign(b"data", "eddsa") for _ in range(20)))
        told = await hsm.status()
        page = json.loads(get(cluster.proxy.admin_port, "/status")[1])
        return told, page, await hsm.events(limit=50), metrics(cluster)


def test_status_the_page_and_the_metrics_have_the_same_numbers(shared: Cluster) -> None:
    before = metrics(shared)
    told, page, events, after = shared.run(lambda: load(shared))
    nodes = {node["name"]: node for node in page["nodes"]}
    assert {node.name: node.requests for node in told.nodes} == {name: node["requests"] for name, node in nodes.items()}
    assert {name: node["requests"] for name, node in nodes.items()} == per_node(after, "hsm_proxy_node_requests_total")
    in_rotation = {name: float(node["in_rotation"]) for name, node in nodes.items()}
    assert in_rotation == per_node(after, "hsm_proxy_node_in_rotation")
    assert sum(node.share for node in told.nodes) == pytest.approx(1, abs=0.01)
    for node in told.nodes:
        assert node.share == pytest.approx(nodes[node.name]["share"], abs=0.05)
    assert told.requests_per_second == pytest.approx(page["requests_per_second"], rel=0.25)
    assert page["requests_per_second"] * WINDOW_S >= answers(after) - answers(before) >= REQUESTS
    assert 0 < page["p50_ms"] <= page["p99_ms"]
    assert [event.what for event in events.events] == [event["what"] for event in page["events"]]
    assert {f"{name} is in rotation" for name in nodes} <= {event.what for event in events.events}
    assert (told.health, told.problems) == (page["health"], page["problems"]) == ("serving", [])
    assert told.sites[0].name == page["sites"][0]["name"]
