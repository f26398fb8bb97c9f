"""Every query of every panel gets data from a real Prometheus that scrapes a real cluster under load.

What a healthy cluster has not (why nodes are lost, firing alerts, shares of a sealed node) is listed below: those
panels get their data from the fault itself, and what others show is compared with what was done to the cluster.
"""

import contextlib
import json
import math
import os
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from bench_process import BenchProcess, hsmctl
from cluster import Cluster
from dashboards import Asked, models, panels, queries, substituted
from fault_processes import RelayProcess
from fault_queue import fault
from load import Load
from programs import get, wait_until
from prometheus import Prometheus, Sample, Target, shortened
from stand import Stand
from store_stand import StoreStand

from hsm_client import connect, sync
from hsm_client.errors import HsmError

SITES = ("local", "there", "yonder")
"""The first is that of the proxies."""
FACTOR = 15
"""Scrapes every second, with a third of a second for each: this machine does the load as well."""
RATE_INTERVAL = "2m"
"""Before it is shortened; Grafana takes four times the scrape interval."""
LOAD_S = 240.0
"""Longer than all waits below together; the load ends with the test."""
DEADLINE_S = 60.0
CHANGES_S = 0.5
SHARES = '{ backend = "software", master_key = { shares = {} } }'

CLUSTER, NODE, DATA_CENTRES = "redoubt-cluster", "redoubt-node", "redoubt-sites"
OF_A_LOST_NODE = {
    (CLUSTER, "Alerts"),
    (NODE, "Alerts"),
    (DATA_CENTRES, "Alerts"),
    (CLUSTER, "Alerts now"),
    (CLUSTER, "Why requests left a node"),
    (NODE, "Why requests left it"),
    (DATA_CENTRES, "Why requests left"),
}
OF_A_REFUSED_REQUEST = {(NODE, "Answers that are not OK")}
OF_A_SEALED_NODE = {(NODE, "Shares given and needed"), (NODE, "Shares refused")}
OF_AN_EJECTED_NODE = {(CLUSTER, "Why connected nodes were taken out"), (NODE, "Why it was taken out")}
OF_FAULTS = OF_A_LOST_NODE | OF_A_REFUSED_REQUEST | OF_A_SEALED_NODE | OF_AN_EJECTED_NODE
"""Dashboard and panel: without data while all is well."""
FAULTS_OF_A_DRILL = (NODE, "Faults of the last drill")
OF_A_DR_SITE = {
    (DATA_CENTRES, "Copies behind in records"),
    (DATA_CENTRES, "Copies behind in time"),
    (NODE, "All keys used"),
    (NODE, "Copy behind"),
    FAULTS_OF_A_DRILL,
    (NODE, "Found by drills"),
    (NODE, "Last drill"),
    (NODE, "Last good drill"),
    (NODE, "Tried by drills"),
}
"""Without data where there is none."""
OF_STORE_MEMBERS = {
    (DATA_CENTRES, "Changes without a majority"),
    (DATA_CENTRES, "Disks of members"),
    (DATA_CENTRES, "New leaders"),
    (DATA_CENTRES, "Quota used by members"),
}
"""Without data where the store is SQLite."""

Panels = set[tuple[str, str]]


class SeenAllError(Exception):
    """Ends the load before its time: it is there for as long as it takes to see everything."""


class ThreeSites(Cluster):
    """A node in each of three sites; the first node is reached over two uplinks."""

    def write_topology(self, addresses: Mapping[str, Sequence[str]] | None = None) -> None:
        super().write_topology(addresses)
        file = self.folder / "cluster.toml"
        text = file.read_text()
        [site] = re.findall(r'\[\[sites\]\]\nname = "local"\n(?:.+\n)*?uplinks = .*\n', text)
        text = text.replace(site, "".join(site.replace('"local"', f'"{name}"') for name in SITES))
        for node, name in zip(self.nodes, SITES, strict=True):
            text = text.replace(f'name = "{node.name}"\nsite = "local"', f'name = "{node.name}"\nsite = "{name}"')
        file.write_text(text)

    def targets(self) -> list[Target]:
        """Return what Prometheus is to scrape, labelled as deploy/prometheus/targets does it."""
        proxies = [
            Target("hsm-proxy", {"cluster": "test", "proxy": proxy.name, "proxy_site": SITES[0]}, proxy.admin_port)
            for proxy in self.proxies
        ]
        nodes = [
            Target("hsm-node", {"cluster": "test", "node": node.name, "site": site}, node.admin_port)
            for node, site in zip(self.nodes, SITES, strict=True)
        ]
        return proxies + nodes


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[list[RelayProcess]]:
    """Relays of a test: they end with it."""
    made: list[RelayProcess] = []
    yield made
    for each in made:
        each.close()


@pytest.fixture
def cluster(tmp_path: Path, relay: list[RelayProcess]) -> Iterator[ThreeSites]:
    """A cluster with a key `load`; `node-1` is reached over a relay too. Its certificates are good for a year."""
    made = ThreeSites(tmp_path, "uvloop", proxies=2, lifetime=timedelta(days=365))
    address = f"127.0.0.1:{made.nodes[0].port}"
    relay.append(RelayProcess(tmp_path, address))
    relay[0].start()
    made.write_topology({"node-1": [address, relay[0].address]})
    try:
        made.start()
        hsmctl(made.client_config, "key", "generate", "--type", "ec-p256", "--label", "load")
        yield made
    finally:
        made.stop()


class Grafana:
    """What Grafana would show, from one Prometheus."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus
        self.queries = list(queries())
        self.seen: set[Asked] = set()

    def rows(self, query: Asked, **chosen: str) -> list[Sample]:
        """Return the rows that a query gets now, without those that are no number."""
        values = {**dict.fromkeys(("cluster", "proxy", "node", "site"), ".*"), **chosen}
        text = shortened(substituted(query.expression, rate_interval=RATE_INTERVAL, **values), FACTOR)
        return [row for row in self.prometheus.query(text) if math.isfinite(row.value)]

    def shown(self, dashboard: str, panel: str, letter: str = "A", **chosen: str) -> list[Sample]:
        """Return what a panel shows now."""
        [query] = [each for each in self.queries if each[:3] == (dashboard, panel, letter)]
        return self.rows(query, **chosen)

    def number(self, dashboard: str, panel: str, letter: str = "A", **chosen: str) -> float | None:
        """Return the one number that a panel shows now."""
        rows = self.shown(dashboard, panel, letter, **chosen)
        return rows[0].value if len(rows) == 1 else None

    def wait_data(self, of: Callable[[Asked], bool]) -> None:
        """Wait until each of these queries was seen with data: not all at once, a busy machine may miss a scrape."""

        def missing() -> list[Asked]:
            unseen = [query for query in self.queries if of(query) and query not in self.seen]
            self.seen |= {query for query in unseen if self.rows(query)}
            return [query for query in unseen if query not in self.seen]

        wait_until(lambda: not missing(), lambda: f"data for {missing()}", DEADLINE_S)

    def wait_shown(self, wanted: float, dashboard: str, panel: str, letter: str = "A", **chosen: str) -> None:
        """Wait until a panel shows this number."""
        wait_until(
            lambda: self.number(dashboard, panel, letter, **chosen) == wanted,
            lambda: f"{wanted} in {panel}; there is {self.shown(dashboard, panel, letter, **chosen)}",
            DEADLINE_S,
        )

    def wait_worded(self, wanted: str, dashboard: str, panel: str, letter: str = "A", **chosen: str) -> None:
        """Wait until a panel shows the number that it writes as this word."""
        [shown] = [each for each in panels(models()[dashboard]) if each["title"] == panel]
        words = {
            each["text"]: float(number)
            for mapping in shown["fieldConfig"]["defaults"]["mappings"]
            for number, each in mapping["options"].items()
        }
        self.wait_shown(words[wanted], dashboard, panel, letter, **chosen)


def of(chosen: Panels) -> Callable[[Asked], bool]:
    """Return the condition of belonging to these panels."""
    return lambda query: (query.dashboard, query.panel) in chosen


def ask_for_nothing(cluster: Cluster) -> None:
    """Have each node refuse something: keys that do not exist."""

    async def main() -> None:
        async with connect(cluster.client_config) as hsm:
            for _ in range(30):
                with pytest.raises(HsmError):
                    await hsm.key("00" * 16)

    cluster.run(main)


def test_the_list_of_panels_of_faults_names_panels_that_exist() -> None:
    assert {(query.dashboard, query.panel) for query in queries()} >= OF_FAULTS | OF_A_DR_SITE | OF_STORE_MEMBERS


def test_every_query_gets_data_and_shows_what_was_done(
    cluster: ThreeSites, relay: list[RelayProcess], tmp_path: Path
) -> None:
    load = BenchProcess(cluster.client_config, "load", LOAD_S, clients=16, rate=100)
    watching = Prometheus(tmp_path / "prometheus", cluster.targets(), factor=FACTOR)
    with watching as prometheus, contextlib.suppress(SeenAllError), load:
        prometheus.wait_scraped()
        grafana = Grafana(prometheus)
        grafana.wait_data(lambda query: not of(OF_FAULTS | OF_A_DR_SITE | OF_STORE_MEMBERS)(query))
        _assert_well(grafana)
        ask_for_nothing(cluster)
        grafana.wait_data(of(OF_A_REFUSED_REQUEST))

        lost = cluster.nodes[1]
        os.kill(lost.pid, signal.SIGSTOP)  # what it has in flight is to go elsewhere
        wait_until(lambda: cluster.states()["node-2"] != "up", lambda: f"node-2 is out: {cluster.states()}")
        lost.kill()
        relay[0].close()
        grafana.wait_data(of(OF_A_LOST_NODE))
        _assert_node_and_path_lost(grafana)

        cluster.write_node(lost, keystore=SHARES)
        lost.start()
        wait_until(lambda: get(lost.admin_port, "/metrics")[0] == 200, lambda: "node-2 is there, sealed")
        grafana.wait_data(of(OF_A_SEALED_NODE))
        grafana.wait_shown(1, CLUSTER, "Sealed nodes")
        grafana.wait_shown(4, NODE, "State", node="node-2")
        raise SeenAllError


def _assert_well(grafana: Grafana) -> None:
    grafana.wait_shown(3, CLUSTER, "Nodes in rotation")
    grafana.wait_shown(3, CLUSTER, "Sites in rotation")
    grafana.wait_shown(2, CLUSTER, "Proxies up")
    grafana.wait_shown(1, CLUSTER, "Answered well")
    _assert_alerts_are_those_of_prometheus(grafana)
    grafana.wait_shown(0, DATA_CENTRES, "Paths down")
    for node in ("node-1", "node-2", "node-3"):
        grafana.wait_worded("up", NODE, "State", node=node)
    shares = {row.labels["site"]: row.value for row in grafana.shown(DATA_CENTRES, "Data centres now", "D")}
    assert set(shares) == set(SITES)
    assert math.isclose(sum(shares.values()), 1.0)


def _assert_node_and_path_lost(grafana: Grafana) -> None:
    grafana.wait_shown(2, CLUSTER, "Nodes in rotation")
    grafana.wait_shown(2, CLUSTER, "Sites in rotation")
    grafana.wait_worded("down", NODE, "State", node="node-2")
    grafana.wait_shown(0, NODE, "Scraped", node="node-2")
    # Of both proxies: the relayed path to node-1, and the only one to node-2.
    grafana.wait_shown(4, DATA_CENTRES, "Paths down")
    paths = {
        (row.labels["node"], row.labels["path"]): row.value
        for row in grafana.shown(DATA_CENTRES, "Paths over time", site="local")
    }
    assert paths == {("node-1", "loopback"): 1, ("node-1", "uplink-2"): 0}
    grafana.prometheus.wait_firing(["RedoubtNodeOut", "RedoubtPathDown", "RedoubtTargetDown"], DEADLINE_S)
    _assert_alerts_are_those_of_prometheus(grafana)


def _assert_alerts_are_those_of_prometheus(grafana: Grafana) -> None:
    # Which ones fire is for the tests of alerts: on a machine that does all this at once nodes are slow, scrapes fail.
    def agree() -> bool:
        named = {row.labels["alertname"] for row in grafana.shown(CLUSTER, "Alerts now")}
        firing = [alert for alert in grafana.prometheus.alerts() if alert.state == "firing"]
        counted = grafana.number(CLUSTER, "Alerts firing")
        return counted == len(firing) and named == {alert.name for alert in firing}

    wait_until(agree, lambda: f"the alerts {grafana.prometheus.alerts()} are shown", DEADLINE_S)


def test_a_node_that_is_taken_out_though_connected_has_its_reason_shown(
    make_stand: Callable[..., Stand], tmp_path: Path
) -> None:
    stand = make_stand()
    labels = {"cluster": "test", "proxy": stand.proxy.name, "proxy_site": "here"}
    target = Target("hsm-proxy", labels, stand.proxy.admin_port)
    with (
        Prometheus(tmp_path / "prometheus", [target], factor=FACTOR) as prometheus,
        Load(stand.client_config, rate=100),
    ):
        prometheus.wait_scraped()
        grafana = Grafana(prometheus)
        stand.nodes[0].arm(fault("device_error", "SIGN", times=0, every=3))
        grafana.wait_data(of(OF_AN_EJECTED_NODE))
        rows = grafana.shown(CLUSTER, "Why connected nodes were taken out")
        assert {(row.labels["node"], row.labels["reason"]) for row in rows} == {("node-1", "errors")}


def test_what_a_dr_site_has_is_shown(tmp_path: Path) -> None:
    stand = StoreStand(tmp_path)
    try:
        with Prometheus(tmp_path / "prometheus", _targets(stand), factor=FACTOR) as prometheus:
            prometheus.wait_scraped()
            stand.type("hsmctl dr drill")
            grafana = Grafana(prometheus)
            with changes(stand):
                grafana.wait_data(of(OF_STORE_MEMBERS))
            grafana.wait_data(of(OF_A_DR_SITE - {FAULTS_OF_A_DRILL}))
            grafana.wait_shown(1, NODE, "Last drill")
            member = stand.entry("etcd-alps")["pid"]
            os.kill(member, signal.SIGSTOP)
            stand.type("hsmctl dr drill || true")
            grafana.wait_data(of({FAULTS_OF_A_DRILL}))
            grafana.wait_shown(0, NODE, "Last drill")
            os.kill(member, signal.SIGCONT)
    finally:
        stand.close()


@contextlib.contextmanager
def changes(stand: StoreStand) -> Iterator[None]:
    """Change a key every few moments: a member whose disk has nothing to write shows no times of it."""
    over = threading.Event()

    def change() -> None:
        with sync.connect(stand.client_config) as hsm:
            while not over.wait(CHANGES_S):
                hsm.generate_key("ec-p256")

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _targets(stand: StoreStand) -> list[Target]:
    manifest = json.loads((stand.folder / "dev.json").read_text())
    proxies = [("hsm-proxy", "proxy", "proxy_site", entry) for entry in manifest["proxies"]]
    nodes = [("hsm-node", "node", "site", entry) for entry in manifest["nodes"]]
    daemons = [
        Target(
            job, {"cluster": "dev", kind: entry["name"], site: entry["site"]}, int(entry["admin"].rpartition(":")[2])
        )
        for job, kind, site, entry in proxies + nodes
    ]
    return daemons + [_member_target(stand, entry) for entry in manifest["store"]]


def _member_target(stand: StoreStand, entry: dict[str, Any]) -> Target:
    """Return where a member's own metrics are."""
    port = stand.member_settings(entry["name"])["listen-metrics-urls"].rpartition(":")[2]
    labels = {"cluster": "dev", "member": entry["address"], "site": entry["site"]}
    return Target("redoubt-etcd", labels, int(port))
