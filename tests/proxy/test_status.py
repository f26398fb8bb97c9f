"""The status report."""

import json

import pytest

from hsm_cluster.topology import Site
from hsm_wire import kinds
from hsm_wire.errors import BodyError
from hsm_wire.frames import Frame, FrameSplitter, encode_frame
from hsm_wire.messages import Bind, EventsResult, PartitionReport, StatusResult, decode_body, encode_body
from hsm_wire.messages import Events as AskEvents
from hsm_wire.opcodes import Opcode
from proxy.core.counters import Counters
from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.principals import Bound
from proxy.core.reporting.events import RecentEvents
from proxy.core.reporting.rates import Rates
from proxy.core.settings import Settings
from proxy.status import Shell, StatusReporter

WHO = Bound(Bind(1, "spiffe://t/client/a", 1, ["use"], b"", 0))
OPERATOR = Bound(Bind(2, "spiffe://t/operator/o", 0, ["operate"], b"", 0))


def reporter(events=None, **more):
    table = NodeTable([Node("n", "s", 2, [("a", "h:1")])], Settings(), 0.0)
    table.path_down(table.nodes[0].paths[0], "x" * 500, 0.0)
    return StatusReporter(
        proxy="p", site="s", cluster="c", software="v", started=1.0, table=table,
        rates=Rates(Counters(), table, 0.0), events=events or RecentEvents(), wall=lambda: 1_800_000_000.5, **more,
    )  # fmt: skip


def test_a_report_names_every_node_and_path():
    (frame,) = FrameSplitter(4096).split(reporter().answer(Frame(3, 0, 5, 0, 0, 3, 0, 6, b""), 3.5, WHO))
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


def test_a_client_sees_the_usage_of_its_own_partition_and_an_operator_that_of_all():
    partitions = tuple((number, PartitionReport(f"p{number}", number, 0, 0, 0)) for number in (1, 2))
    made = reporter(shell=lambda: Shell(package="economy", shortfalls=("x" * 300,), partitions=partitions))

    def seen(who):
        raw = made.answer(Frame(3, 0, 5, 0, 0, 3, 0, 6, b""), 3.5, who)
        result = decode_body(StatusResult, FrameSplitter(8192).split(raw)[0].body)
        assert (result.package, len(result.shortfalls[0])) == ("economy", 256)
        return [partition.name for partition in result.partitions]

    assert (seen(WHO), seen(OPERATOR)) == (["p1"], ["p1", "p2"])
    assert [partition["name"] for partition in json.loads(made.page(2.0))["partitions"]] == ["p1", "p2"]


def test_the_durability_is_in_the_report_and_on_the_page():
    made = reporter(shell=lambda: Shell(durability="dr"))
    assert made.result(2.0).durability == json.loads(made.page(2.0))["durability"] == "dr"


def test_times_health_and_sites_are_in_the_report():
    sites = (Site("s", "active", "z1", 47.4, 8.5, ("a", "b")), Site("t", "disaster-recovery"))
    made = reporter(shell=lambda: Shell(3, 2, ("overload",), sites))
    result = made.result(2.0)
    assert (result.now, result.clients, result.waiting, result.health) == (
        "2027-01-15T08:00:00.500+00:00",
        3,
        2,
        "down",
    )
    assert result.problems[-1] == "overload"
    first, second = json.loads(made.page(2.0))["sites"]
    assert first == {
        "name": "s", "role": "active", "risk_zone": "z1", "latitude": 47.4, "longitude": 8.5,
        "uplinks": [{"name": "a", "state": "down"}, {"name": "b", "state": "unused"}],
    }  # fmt: skip
    assert (second["role"], second["latitude"], second["uplinks"]) == ("disaster-recovery", None, [])
    made._table.nodes[0].paths[0].up = True
    assert made.result(2.0).sites[0].uplinks[0].state == "up"


def test_a_node_has_its_part_of_the_answers_and_the_time_in_its_state():
    made = reporter()
    (node,) = made._table.nodes
    made._table.judge(node, 1.5, "drain")
    node.requests += 30
    node.duration_buckets[5] += 30
    (report,) = made.result(2.5).nodes
    assert (report.requests_per_second, report.share, report.since_s, report.in_rotation) == (12.0, 1.0, 1.0, False)
    assert 0 < report.p50_ms < report.p99_ms


def asking(body):
    raw = encode_frame(kinds.REQUEST, body, request_id=5, opcode=Opcode.EVENTS, operation_id=6)
    return FrameSplitter(4096).split(raw)[0]


def test_events_are_those_of_the_page_and_of_the_wire():
    events = RecentEvents()
    for number in range(70):
        events.add(1_800_000_000.0, "info", f"event {number}", node="n", site="s")
    made = reporter(events)
    page = json.loads(made.page(2.0))["events"]
    assert (len(page), page[-1]) == (
        50,
        {
            "number": 70, "at": "2027-01-15T08:00:00.000+00:00", "severity": "info", "site": "s", "node": "n",
            "what": "event 69",
        },
    )  # fmt: skip
    (frame,) = FrameSplitter(4096).split(made.answer(asking(encode_body(AskEvents(66, 2))), 2.0, WHO))
    told = decode_body(EventsResult, frame.body)
    assert (told.newest, [event.number for event in told.events], frame.opcode) == (70, [67, 68], Opcode.EVENTS)
    with pytest.raises(BodyError):
        made.answer(asking(b"\x91\xc0"), 2.0, WHO)
