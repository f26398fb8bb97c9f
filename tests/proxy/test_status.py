"""The status report."""

import json

from hsm_wire.frames import Frame, FrameSplitter
from hsm_wire.messages import StatusResult, decode_body
from proxy.core.counters import Counters
from proxy.core.events import Events
from proxy.core.node_table import Node, NodeTable
from proxy.core.rates import Rates
from proxy.core.settings import Settings
from proxy.status import StatusReporter


def reporter(events=None, **more):
    table = NodeTable([Node("n", "s", 2, [("a", "h:1")])], Settings(), 0.0)
    table.path_down(table.nodes[0].paths[0], "x" * 500, 0.0)
    return StatusReporter(
        proxy="p", site="s", cluster="c", software="v", started=1.0, table=table,
        rates=Rates(Counters(), table, 0.0), events=events or Events(), wall=lambda: 1_800_000_000.5, **more,
    )  # fmt: skip


def test_a_report_names_every_node_and_path():
    (frame,) = FrameSplitter(4096).split(reporter().answer(Frame(3, 0, 5, 0, 0, 3, 0, 6, b""), 3.5))
    result = decode_body(StatusResult, frame.body)
    assert (frame.request_id, frame.operation_id, result.uptime_ms) == (5, 6, 2500)
    (node,) = result.nodes
    assert (node.state, node.weight, node.paths[0].state) == ("down", 2, "down")
    assert len(node.reason) == 256


def test_the_page_has_the_report_s_fields_by_name_and_more():
    page = json.loads(reporter().page(2.0, ready=False))
    assert (page["proxy"], page["ready"], page["nodes"][0]["name"]) == ("p", False, "n")
    assert page["nodes"][0]["paths"] == [{"uplink": "a", "state": "down", "reason": "x" * 256}]


def test_what_comparing_the_nodes_stores_found_is_in_the_report():
    made = reporter()
    (node,) = made._table.nodes
    page = json.loads(made.page(2.0))["nodes"][0]
    assert (page["store_fault"], page["outdated"]) == ("", False)
    node.store_faults = {"behind": "it lacks something", "digest": "x" * 500}
    node.outdated = "it lacks something"
    report = made.result(2.0).nodes[0]
    assert (report.store_fault[:24], len(report.store_fault)) == ("it lacks something; xxxx", 256)
    assert report.outdated
    node.reported = "stale"
    assert not made.result(2.0).nodes[0].outdated, "it says itself that it is stale"
