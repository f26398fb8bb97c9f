"""Make the page of all metrics, recording rules and alerts from the code and from deploy/prometheus.

python tools/make_metrics_docs.py            write docs/metrics.md
python tools/make_metrics_docs.py --check    change nothing; exit 1 if it is not as it would be written
"""

import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import MagicMock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # So that it also runs where the packages are not installed.

from made_pages import write_or_check  # noqa: E402 - found through the line above
from prometheus_client.metrics_core import Metric  # noqa: E402 - after the path, as said above

from hsm_daemon.metrics import ProcessCollector  # noqa: E402
from hsm_node.core.change_rate import ChangeRate  # noqa: E402
from hsm_node.core.node_states import STATES as NODE_ADMINISTRATIVE_STATES  # noqa: E402
from hsm_node.gauges import (  # noqa: E402
    OPERATIONAL_STATES as NODE_STATES,
)
from hsm_node.gauges import (  # noqa: E402
    acceptor_gauges,
    configuration_labels,
    keystore_gauges,
    keystore_labels,
    shell_gauges,
    state_labels,
    unsealing_gauges,
)
from hsm_node.metrics import PREFIX as NODE_PREFIX  # noqa: E402
from hsm_node.metrics import NodeMetrics, RequestCounts  # noqa: E402
from hsm_wire.messages import PartitionReport  # noqa: E402
from hsm_wire.opcodes import Opcode  # noqa: E402
from hsm_wire.statuses import StatusClass  # noqa: E402
from proxy.core.checks.agreement import FAULTS  # noqa: E402
from proxy.core.counters import OVERLOAD_REASONS, Counters  # noqa: E402
from proxy.core.nodes.node_table import ADMINISTRATIVE_STATES, OPERATIONAL_STATES, Node, NodeTable  # noqa: E402
from proxy.core.requests.balancer import Balancer  # noqa: E402
from proxy.core.requests.dispatcher import Dispatcher  # noqa: E402
from proxy.core.settings import Settings  # noqa: E402
from proxy.metrics import PREFIX as PROXY_PREFIX  # noqa: E402
from proxy.metrics import Figures, ProxyCollector  # noqa: E402
from proxy.workers.pages import worker_families  # noqa: E402
from proxy.workers.roster import Roster  # noqa: E402
from proxy.workers.sums import Sums  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"
RULES = ROOT / "deploy" / "prometheus" / "rules"
NOTICE = "<!-- Made by tools/make_metrics_docs.py. Do not edit. -->\n\n"
_SHOWN_SUFFIX = {"counter": "_total", "info": "_info"}
_OF_A_KIND = ("le", "quantile")

INTRODUCTION = """# Metrics, rules and alerts

`hsm-proxy` (port 9410) and `hsm-node` (port 9420) have a page `/metrics` for Prometheus. Units are seconds and bytes,
counters end in `_total` and start at 0 with the process. No label tells of a client, a key or a request. Histograms
have `_bucket`, `_sum` and `_count`.

`deploy/prometheus` has a scrape configuration, the rules below and their tests; its README.md says how to use them.
The fullest page of a proxy before four nodes takes 3 to 4 ms of its event loop (`python -m bench.scrape`);
`hsm_proxy_metrics_page_seconds` tells what it takes.

A lost site: `max by (site) (hsm_proxy_path_up) == 0`. A lost uplink of a site:
`max by (site, path) (hsm_proxy_path_up) == 0`. Traffic by site: `sum by (site) (rate(hsm_proxy_node_requests_total[5m])
* on (proxy, node) group_left (site) hsm_proxy_node_info)`.

| label | values |
|---|---|
"""


OF_MEMBERS = """
## Of a member of the store

etcd's own, at `listen-metrics-urls` of its file; job `redoubt-etcd`. Alerts and dashboards read these:

| metric | type | labels | |
|---|---|---|---|
| `etcd_disk_wal_fsync_duration_seconds` | histogram |  | Writings of its log to its disk. |
| `etcd_mvcc_db_total_size_in_bytes` | gauge |  | Size of its file. |
| `etcd_server_leader_changes_seen_total` | counter |  | New leaders that it has seen. |
| `etcd_server_proposals_failed_total` | counter |  | Changes that found no majority. |
| `etcd_server_proposals_pending` | gauge |  | Changes that wait for a majority. |
| `etcd_server_quota_backend_bytes` | gauge |  | What its file may grow to. |
"""


class Row(NamedTuple):
    """One line of a table of metrics."""

    name: str
    kind: str
    labels: str
    text: str


class Alert(NamedTuple):
    """One alert of the rules."""

    name: str
    severity: str
    lasting: str
    description: str
    page: str


def proxy_families() -> Iterator[Metric]:
    """Return all families of a proxy, each with a sample, so that its labels are seen."""
    table = NodeTable([Node("node", "site", 1, [("uplink", "host:1")])], Settings(), 0.0)
    table.nodes[0].failures["lost"] = 1
    counters = Counters()
    counters.answered(int(Opcode.SIGN), 0, 0.001)
    counters.sanctions["node", "errors"] = 1
    balancer = Balancer(table, random.Random(1))
    dispatcher = Dispatcher(table, balancer, Settings(), counters, 0.0, lambda _frame, _now, _bound: b"")
    used = PartitionReport("partition", 0, 0, 0, 0, 1, 1, 1)
    figures = Figures("hash", validity=(0, 1), partitions=[used])
    yield from ProxyCollector(dispatcher, lambda: figures).collect()
    yield from ProcessCollector(PROXY_PREFIX).collect()
    yield from worker_families(Roster(1), Sums(PROXY_PREFIX))


def node_families() -> Iterator[Metric]:
    """Return all families of a node that is open and of one that is sealed."""
    keystore = MagicMock()  # names and texts are asked for; what the numbers are does not matter
    keystore.follower.refused_by_reason = {"reason": 0.0}
    keystore.store.members = {"member": ""}
    keystore.partition_names = {1: "partition"}
    keystore.change_rate = ChangeRate(1.0, 1)
    requests = RequestCounts()
    requests.answered(int(Opcode.SIGN), 0, done=True)
    gauges = [
        *shell_gauges(lambda: (0, 1), lambda: (0, 1), lambda: True, lambda: False),
        *unsealing_gauges(MagicMock()),
        *acceptor_gauges(MagicMock()),
        *keystore_gauges(keystore, lambda: 1, lambda: 1),
    ]
    labelled = [configuration_labels("hash"), state_labels("up"), *keystore_labels(keystore, "node")]
    yield from NodeMetrics(requests, gauges, lambda: labelled).collect()
    yield from ProcessCollector(NODE_PREFIX).collect()


def rows(families: Iterable[Metric]) -> list[Row]:
    """Return a row for each family, by name."""
    found = []
    for family in families:
        labels = sorted({label for sample in family.samples for label in sample.labels} - set(_OF_A_KIND))
        name = family.name + _SHOWN_SUFFIX.get(family.type, "")
        found.append(Row(name, family.type, ", ".join(labels), family.documentation))
    return sorted(found)


def recordings(text: str) -> list[str]:
    """Return the names that the recording rules write."""
    return re.findall(r"^ +- record: (\S+)$", text, re.MULTILINE)


def alerts(text: str) -> list[Alert]:
    """Return the alerts in their order."""
    found = []
    for block in re.split(r"^ +- alert: ", text, flags=re.MULTILINE)[1:]:
        values = dict(re.findall(r'^ +(for|severity|description|runbook_url): "?(.*?)"?$', block, re.MULTILINE))
        page = values["runbook_url"].rsplit("/", 1)[1].removesuffix(".html")
        name = block.split("\n", 1)[0]
        found.append(Alert(name, values["severity"], values["for"], values["description"], page))
    return found


def names() -> set[str]:
    """Return the names of all series that daemons expose."""
    found = set()
    for row in rows([*proxy_families(), *node_families()]):
        endings = ("_bucket", "_sum", "_count") if row.kind == "histogram" else ("",)
        found |= {row.name + ending for ending in endings}
    return found


def page() -> str:
    """Return the page."""
    text = NOTICE + INTRODUCTION
    text += "".join(f"| `{label}` | {values} |\n" for label, values in _labels())
    for title, families in (("Of a proxy", proxy_families()), ("Of a node", node_families())):
        text += f"\n## {title}\n\n| metric | type | labels | |\n|---|---|---|---|\n"
        text += "".join(f"| `{row.name}` | {row.kind} | {row.labels} | {row.text} |\n" for row in rows(families))
    text += OF_MEMBERS
    text += (
        "\n## Recorded\n\nBy the rules in `deploy/prometheus/rules/recording.yml`; dashboards and alerts read them.\n\n"
    )
    text += "".join(f"- `{name}`\n" for name in recordings((RULES / "recording.yml").read_text(encoding="utf-8")))
    text += (
        "\n## Alerts\n\nEach has its runbook. *critical*: somebody has to act now; *warning*: within a working day.\n\n"
    )
    text += "| alert | severity | after | |\n|---|---|---|---|\n"
    for alert in alerts((RULES / "alerts.yml").read_text(encoding="utf-8")):
        link = f"[{alert.name}](runbooks/{alert.page}.md)"
        text += f"| {link} | {alert.severity} | {alert.lasting} | {alert.description} |\n"
    return text


def _labels() -> Iterator[tuple[str, str]]:
    both = dict.fromkeys((*OPERATIONAL_STATES, *NODE_STATES))
    yield "node", "name of a node in cluster.toml"
    yield "site", "its site; `role`: active or disaster-recovery"
    yield "path", "the uplink over which a node is reached"
    yield "partition", "name of a partition in cluster.toml"
    yield "operation", "name of an opcode in small letters, as `sign`; `unknown` for all others"
    yield "status_class", ", ".join(row.name.lower() for row in StatusClass)
    yield "state", f"operational: {', '.join(both)}; administrative: {_either(ADMINISTRATIVE_STATES)}"
    yield "fault", ", ".join(FAULTS)
    yield "member", "address of a member of the store"
    yield "reason", f"a word for why; of `overloaded`: {', '.join(OVERLOAD_REASONS)}"


def _either(of_proxy: Iterable[str]) -> str:
    assert set(of_proxy) == set(NODE_ADMINISTRATIVE_STATES)
    return ", ".join(of_proxy)


def main(arguments: list[str], target: Path = PAGE) -> int:
    """Write or check the page; return the exit code."""
    return write_or_check({target: page()}, arguments, "tools/make_metrics_docs.py")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
