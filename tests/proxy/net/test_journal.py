"""A line and an event, made in one place."""

import logging
from types import SimpleNamespace

from proxy.core.nodes.node_table import Node, NodeTable
from proxy.core.notices import Notices
from proxy.core.settings import Settings
from proxy.net.journal import Journal


def made():
    table = NodeTable([Node("n1", "zurich", 1, [("a", "h:1")])], Settings(), 0.0)
    return Journal(SimpleNamespace(table=table, notices=Notices()))


def test_a_change_is_a_line_with_its_fields_and_an_event_with_its_sentence(caplog):
    caplog.set_level("INFO")
    journal = made()
    table = journal._dispatcher.table
    table.nodes[0].paths[0].up = True
    table.path_down(table.nodes[0].paths[0], "refused", 1.0)
    table.judge(table.nodes[0], 1.0, "drain")
    journal.take_changes()
    lines = [(record.levelname, record.message, record.fields) for record in caplog.records]
    events = [(event.severity, event.site, event.node, event.what) for event in journal.events.after(0, 9)]
    fields = {"node": "n1", "path": "a", "before": "up", "after": "down", "reason": "refused"}
    assert lines[0] == ("WARNING", "path changed", fields)
    assert events[0] == ("warning", "zurich", "n1", "n1 does not answer over a any more: refused")
    assert (lines[1][1], events[1][3]) == ("node changed", "n1 is down, drain and does not serve: refused")
    assert len(lines) == len(events) == 2


def test_what_the_core_noticed_is_both_too(caplog):
    caplog.set_level("INFO")
    journal = made()
    journal._dispatcher.notices.add("overload begins", reason="queue_full")
    journal.take_changes()
    (record,), (event,) = caplog.records, journal.events.after(0, 9)
    assert (record.message, record.fields) == ("overload begins", {"reason": "queue_full"})
    assert (event.what, event.node, event.site) == ("overload: requests are refused (queue_full)", "", "")


def test_a_level_of_the_log_is_one_of_three_severities():
    journal = made()
    journal.tell(logging.getLogger("x"), "critical", "it happened", node="who")
    journal.remember("debug", "it is so")
    assert [(event.severity, event.node) for event in journal.events.after(0, 9)] == [("error", "who"), ("info", "")]
