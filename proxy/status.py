"""The cluster as this proxy sees it: the answer to STATUS, and the admin page `/status` with the same content."""

from typing import Any

import msgspec

from hsm_wire import kinds
from hsm_wire.frames import Frame, encode_frame
from hsm_wire.messages import NodeReport, PathReport, StatusResult, encode_body
from proxy.core.node_table import UP, Node, NodeTable


class StatusReporter:
    """Makes status reports."""

    def __init__(self, *, proxy: str, site: str, cluster: str, software: str, started: float, table: NodeTable) -> None:
        self._proxy = proxy
        self._site = site
        self._cluster = cluster
        self._software = software
        self._started = started
        self._table = table
        self.clients = 0
        """Connections of clients; kept up to date by the application."""

    def result(self, now: float) -> StatusResult:
        """Return the report."""
        return StatusResult(
            self._proxy,
            self._site,
            self._cluster,
            self._software,
            int((now - self._started) * 1000),
            self.clients,
            [_node_report(node) for node in self._table.nodes],
        )

    def answer(self, frame: Frame, now: float) -> bytes:
        """Return the RESPONSE to a STATUS request."""
        return encode_frame(
            kinds.RESPONSE,
            encode_body(self.result(now)),
            request_id=frame.request_id,
            opcode=frame.opcode,
            operation_id=frame.operation_id,
        )

    def page(self, now: float, **more: Any) -> bytes:
        """Return the JSON of `/status`: the report's fields, and what only operators need."""
        result = self.result(now)
        fields = {name: getattr(result, name) for name in result.__struct_fields__}
        fields["nodes"] = [_named(node) for node in result.nodes]
        return msgspec.json.encode(fields | more)


def _node_report(node: Node) -> NodeReport:
    return NodeReport(
        node.name,
        node.site,
        node.operational,
        node.administrative,
        node.reason[:256],
        node.weight,
        node.in_flight,
        node.window,
        node.requests,
        sum(node.failures.values()),
        [PathReport(path.uplink, "up" if path.up else "down") for path in node.paths],
        "; ".join(node.store_faults.values())[:256],
        bool(node.outdated) and node.reported == UP,
    )


def _named(report: NodeReport) -> dict[str, Any]:
    fields = {name: getattr(report, name) for name in report.__struct_fields__}
    fields["paths"] = [{"uplink": path.uplink, "state": path.state} for path in report.paths]
    return fields
