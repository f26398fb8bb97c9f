"""The pages beside the status page."""

import json
from types import SimpleNamespace

import pytest

from proxy.admin_pages import admin_routes, why_unready


@pytest.fixture
def dispatcher():
    nodes = [SimpleNamespace(name=name, operational="up", administrative="ready", reason="") for name in ("n1", "n2")]
    return SimpleNamespace(leaving=False, table=SimpleNamespace(nodes=nodes, rotation=nodes[:1]))


@pytest.fixture
def page(dispatcher):
    routes = admin_routes("p1", dispatcher, lambda: b"m 1\n", lambda: b'{"a": 1}')
    return lambda path: routes[path]()


def test_the_summary_has_a_line_for_each_node_and_names_the_other_pages(page, dispatcher):
    drained, lost = SimpleNamespace(**vars(dispatcher.table.nodes[1])), dispatcher.table.nodes[1]
    drained.name, drained.administrative = "n3", "drain"
    lost.operational, lost.reason = "down", "loopback: connection refused"
    dispatcher.table.nodes.append(drained)
    answer = page("/summary")
    assert answer.body.decode().splitlines() == [
        "p1: 1 of 3 nodes in rotation", "n1: up", "n2: down: loopback: connection refused", "n3: drain, up",
        "Pages: /status /metrics /livez /readyz",
    ]  # fmt: skip


def test_metrics_and_status_are_as_they_are_made_when_somebody_asks(page):
    assert (page("/metrics").body, json.loads(page("/status").body)) == (b"m 1\n", {"a": 1})
    assert page("/metrics").content_type.startswith("text/plain; version=")


def test_a_proxy_is_ready_while_a_node_is_in_rotation_and_it_does_not_stop(page, dispatcher):
    assert (page("/readyz").status, why_unready(dispatcher)) == (200, "")
    dispatcher.table.rotation = []
    assert (page("/readyz").status, page("/livez").status) == (503, 200)
    dispatcher.leaving = True
    assert page("/readyz").body == b"not ready: this proxy is shutting down\n"


def test_the_status_page_and_its_parts_are_there(page):
    assert (page("/").content_type, page("/page/page.js").status) == ("text/html; charset=utf-8", 200)
