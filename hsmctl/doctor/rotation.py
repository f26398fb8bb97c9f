"""Nodes out of rotation, paths that are down, what stands alone, and stores that differ, as the proxies see them."""

from typing import Final

import msgspec

from hsm_wire.messages import NodeReport, StatusResult
from hsmctl.doctor import told
from hsmctl.doctor.finding import Finding
from hsmctl.overview.merging import READY, STANDBY, UP, gets_requests
from hsmctl.proxies import Answer

NODES: Final = "nodes"
PATHS: Final = "paths"
STORE: Final = "store"
LOAD: Final = "load"

ADVICE: Final = {
    "down": "see whether it runs and can be reached (`systemctl status hsm-node@{name}` on its host, the firewall)",
    "ejected": "it answers wrongly or too slowly and is tried again by itself; look into its log and its host's load",
    "blocked": "it takes work and finishes none; look at its HSM device, then restart it "
    "(`systemctl restart hsm-node@{name}`)",
    "probing": "wait: it has just come back and is being tried",
    "stale": "it has lost its store; check the store and the node's way to it",
    "lacking": "it cannot use some keys that are stored: give it a device that can, or replace and destroy these keys",
    "sealed": "give it its shares on its host (`hsmctl unseal`)",
    "locked": "give it its shares or PIN on its host (`hsmctl unseal`)",
    "fenced": "it belongs to an older epoch of the cluster; bring it up to date before it serves",
}
"""What to do about a node by its operational state."""
WITNESS: Final = "\0"
"""Stands for the names of the proxies that see the same, until all are known; no name has it."""
OTHERWISE: Final = "look into its log (`journalctl -u hsm-node@{name}`)"


def node_findings(witness: str, report: StatusResult) -> list[Finding]:
    """Return every node that does not serve as it should, and how few are left. What waits for a disaster is well."""
    subject = f"cluster {report.cluster} (seen by {witness})"
    nodes = [node for node in report.nodes if node.state != STANDBY]
    found = [_node(witness, node) for node in nodes if node.state != UP or node.administrative_state != READY]
    serving = [node for node in nodes if gets_requests(node)]
    if not serving:
        advice = "bring one node back first; the advice beside each says how"
        found.insert(0, Finding(NODES, "error", subject, "no node serves: requests fail", advice))
    elif len(serving) == 1 and len(nodes) > 1:
        advice = "bring the others back; until then the loss of this one stops the service"
        found.insert(0, Finding(NODES, "error", subject, f"{serving[0].name} is the only node that serves", advice))
    sites = {node.site for node in nodes}
    left = {node.site for node in serving}
    if len(sites) > 1 and len(left) == 1:
        advice = "bring a node of another site back; until then the loss of this site stops the service"
        found.append(Finding(NODES, "error", subject, f"only site {left.pop()} serves", advice))
    return found


def _node(witness: str, node: NodeReport) -> Finding:
    where = f"node {node.name} (seen by {witness})"
    if node.administrative_state != READY:
        wrong = f"somebody took it out of service ({node.administrative_state})"
        return Finding(NODES, "warning", where, wrong, f"when its work is done: `hsmctl node enable {node.name}`")
    reason = f": {node.reason}" if node.reason else ""
    advice = ADVICE.get(node.state, OTHERWISE).format(name=node.name)
    return Finding(NODES, "error", where, f"it is {node.state}{reason}", advice)


def path_findings(witness: str, report: StatusResult) -> list[Finding]:
    """Return nodes that have lost some of their paths; one that lost all is out of rotation, which is said there."""
    found = []
    for node in report.nodes:
        lost = [path.uplink for path in node.paths if path.state == "down"]
        left = [path.uplink for path in node.paths if path.state != "down"]
        if not lost or not left:
            continue
        alone = f", {left[0]} is the only one left" if len(left) == 1 else ""
        found.append(
            Finding(
                PATHS,
                "warning",
                f"node {node.name} (seen by {witness})",
                f"path {', '.join(lost)} is down{alone}",
                f"check the uplink {', '.join(lost)} of site {node.site}, its routes and firewalls",
            )
        )
    return found


def store_findings(witness: str, report: StatusResult) -> list[Finding]:
    """Return nodes whose store lacks something, or differs from the others'."""
    return [
        Finding(
            STORE,
            "error",
            f"node {node.name} (seen by {witness})",
            node.store_fault,
            "compare the stores of the nodes before you do anything else: one may have been set back to an old copy; "
            "docs/failure-modes.md says how to mend it",
        )
        for node in report.nodes
        if node.store_fault
    ]


def load_findings(witness: str, report: StatusResult) -> list[Finding]:
    """Return whether requests are refused for want of room."""
    if report.overloaded_per_second <= 0:
        return []
    wrong = f"{report.overloaded_per_second:.0f} requests a second are refused as OVERLOADED"
    return [
        Finding(
            LOAD,
            "warning",
            f"proxy {witness}",
            wrong,
            "bring all nodes into rotation, add one, or slow the callers down",
        )
    ]


LOOKS: Final = {
    NODES: node_findings,
    PATHS: path_findings,
    STORE: store_findings,
    LOAD: load_findings,
    told.CHECK: told.told_findings,
}
"""What is looked for in a proxy's report, by check, in the order in which to mend it."""


def all_findings(answers: list[Answer[StatusResult]]) -> dict[str, list[Finding]]:
    """Return what every proxy sees, by check. What several see alike is said once, with all their names."""
    reports = [answer.result for answer in answers if answer.result is not None]
    found: dict[str, list[Finding]] = {}
    for check, look in LOOKS.items():
        witnesses: dict[Finding, list[str]] = {}
        for report in reports:
            for finding in look(WITNESS, report):
                witnesses.setdefault(finding, []).append(report.proxy)
        found[check] = [
            msgspec.structs.replace(finding, subject=finding.subject.replace(WITNESS, ", ".join(names)))
            for finding, names in witnesses.items()
        ]
    return found
