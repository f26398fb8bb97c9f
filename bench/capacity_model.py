"""How much of each part an installation uses, where its limits are, and which setting moves each. Pure.

Every figure is that of the worst day: one proxy and one node are lost, and the others have their work. What requests
cost is measured (`costs`), what is limited is read from the code and from the units, and nothing is typed twice.
"""

from typing import Final, NamedTuple

from bench import scrape, unit_files
from bench.costs import Costs, busy_cores
from hsm_client.config import MAX_PROXIES
from hsm_client.pool import OPEN_TIMEOUT_S
from hsm_cluster.packages import PACKAGES
from hsm_daemon.metrics import MetricsPage
from hsm_node.core.limits import DEFAULTS as NODE_LIMITS
from hsm_node.core.limits import Limits as NodeLimits
from hsm_node.core.window import FEWEST_MEASUREMENTS, Window
from hsm_wire.limits import DEFAULT_MAX_IN_FLIGHT
from proxy.config import MAX_WORKERS
from proxy.core.settings import Limits, Portion
from proxy.metrics import PREFIX

COMFORTABLE: Final = 0.7
"""Part of what a proxy or a node can do that is asked of it at most: the rest is for bad moments."""
MOST_FOR_CHECKS: Final = 0.1
"""Part of a core that the checks of all proxies may take of a node: more is no fault, and is time for nothing else."""
LINKS_OF_A_PATH: Final = 2
"""One for small requests and checks, and a bulk link."""
MIB: Final = 1 << 20
KNOBS: Final = {
    "a proxy's requests": "proxy.toml `workers`; one more proxy",
    "a proxy's processor": "cores of its host: one for each of proxy.toml `workers`",
    "connections to a proxy": "proxy.toml `[limits] clients`",
    "connections of one identity": "proxy.toml `[limits] identity_clients`; more identities",
    "requests in flight on a connection": "proxy.toml `[limits] client_in_flight`; `pool_size` of `connect()`",
    "a proxy's open files, by process": "hsm-proxy.service `LimitNOFILE`",
    "a proxy's threads in a hot restart": "hsm-proxy.service `TasksMax`",
    "workers of a proxy": "one more proxy",
    "a proxy's memory": "fewer connections to each: `pool_size` of `connect()`, one more proxy",
    "the same, every buffer full": "proxy.toml `[limits] unread_bytes`, `unfinished_bytes`, `queue_bytes`",
    "until those of a lost proxy are back": "proxy.toml `[limits] handshakes_per_s`, `handshakes_crowd`, more proxies",
    "until those of all proxies are back": "proxy.toml `[limits] handshakes_crowd`, `handshakes_sustained_per_s`",
    "a proxy's loop while they come": "proxy.toml `[limits] handshakes_per_s`, `workers`",
    "a node's requests": "one more node; of dear operations also node.toml `sessions`",
    "in flight at a node, of one worker": "node.toml `[limits] window_wait_s`, `window_requests`, fewer `workers`",
    "links to a node, a proxy in a hot restart": "node.toml `[limits] links`; fewer `workers`",
    "a node's open files": "hsm-node@.service `LimitNOFILE`",
    "a node's threads": "hsm-node@.service `TasksMax`; node.toml `sessions`",
    "checks of a node, its loop's part": "proxy.toml `[health] interval_s`; fewer `workers`",
    "a node's processor": "cores of its host: one for its loop, one for each of node.toml `sessions`",
    "a node's memory": "fewer keys",
    "proxies in client.toml": "a part of the proxies in each client's file",
    "active nodes": 'cluster.toml `package = "dedicated"`',
    "changes of one partition": "node.toml `[limits] partition_changes_per_s`",
    "links between proxies and nodes": "proxy.toml `workers`; cluster.toml `paths`",
    "series of all metrics": "fewer proxies, nodes, partitions",
    "one scrape of all pages": "the scrape's interval",
}
"""What moves each limit, or what is used of it."""
CHOSEN: Final = ("active nodes", "workers of a proxy", "proxies in client.toml")
"""What is as much as somebody wants, and may be all that there can be."""
WORKER_FAMILIES: Final = 5
"""With a label `worker`: `proxy.workers.pages.worker_families`, as its test counts them."""


class Installation(NamedTuple):
    """What there is, and what is asked of it."""

    clients: int
    requests_per_s: float
    """Of one client."""
    proxies: int
    nodes: int
    operation: str = "P-256 signature"
    connections: int = 2
    """Of one client: `pool_size` of its library."""
    in_flight: int = 1
    """Requests on one connection at a time."""
    size: int = 128
    """Bytes of a request, header included."""
    tls: bool = True
    identities: int | None = None
    """How many the clients have; None: each its own."""
    workers: int = 1
    sessions: int = 2
    paths: int = 2
    """Uplinks that lead to a node."""
    keys: int = 1_000
    partitions: int = 8
    changes_per_s: float = 1.0
    """Keys and objects that are made, changed and destroyed, by all."""
    limits: Limits = Limits()
    """Of proxy.toml."""
    node_limits: NodeLimits = NODE_LIMITS
    """Of node.toml."""

    @property
    def rate(self) -> float:
        """Requests a second of all clients."""
        return self.clients * self.requests_per_s

    @property
    def proxies_left(self) -> int:
        """When one is lost; where there is one only, it."""
        return max(1, self.proxies - 1)

    @property
    def nodes_left(self) -> int:
        """The same of nodes."""
        return max(1, self.nodes - 1)

    @property
    def connections_left(self) -> float:
        """Connections to one proxy when another one is lost. Of several, a client has one to each at most."""
        each = self.connections if self.proxies == 1 else min(self.connections, self.proxies_left)
        return self.clients * each / self.proxies_left


class Load(NamedTuple):
    """One thing that is used, and how much of it there is."""

    what: str
    used: float
    limit: float | None
    """None: only the machine has one."""
    unit: str
    knob: str
    """What moves the limit, or the use."""

    @property
    def share(self) -> float:
        """Part of the limit that is used; 0 where there is none."""
        return self.used / self.limit if self.limit else 0.0


def loads(installation: Installation, costs: Costs) -> list[Load]:
    """Return all of them."""
    return [
        *_proxy(installation, costs),
        *_returning(installation, costs),
        *_node(installation, costs),
        *_cluster(installation, costs),
    ]


def binding(found: list[Load]) -> Load:
    """Return what comes to its limit first, of what grows with the work."""
    return max((load for load in found if load.what not in CHOSEN), key=lambda load: load.share)


def back_s(connections: float, limits: Limits) -> float:
    """Return the seconds in which a proxy takes so many connections, at the pace of `hsm_daemon.pace`."""
    peak = (connections - limits.handshakes_burst) / limits.handshakes_per_s
    sustained = (connections - limits.handshakes_crowd) / limits.handshakes_sustained_per_s
    return max(0.0, peak, sustained)


def links(installation: Installation, nodes: int = 1) -> int:
    """Return the links between all proxies and so many nodes."""
    of_a_proxy = installation.workers * nodes * installation.paths * LINKS_OF_A_PATH
    return installation.proxies * of_a_proxy


def window(installation: Installation, costs: Costs) -> int:
    """Return how many requests one worker may have in flight at one node, the way to it left out."""
    work = costs.works[installation.operation]
    found = Window(installation.sessions, installation.node_limits)
    for _ in range(FEWEST_MEASUREMENTS):
        found.served(work.session_s or work.loop_s)
    found.turned(FEWEST_MEASUREMENTS * work.loop_s, FEWEST_MEASUREMENTS)
    return Portion(1, installation.workers).count(found.advertised(installation.proxies))


def proxy_page(installation: Installation) -> bytes:
    """Return a proxy's page of metrics that has everything to tell, but for its workers'."""
    paths = [f"isp-{number}" for number in range(installation.paths)]
    collector = scrape.full_page(installation.nodes, installation.partitions, paths=paths)
    return MetricsPage(PREFIX, collector).text()


def _proxy(i: Installation, costs: Costs) -> list[Load]:
    limits, rate, held = i.limits, i.rate / i.proxies_left, i.connections_left
    request_s = costs.proxy_s(int(held), i.in_flight, i.size, tls=i.tls)
    idle = costs.figure("proxy_idle_cores") * i.workers
    busy = busy_cores(rate / i.workers, request_s, costs.figure("proxy_alone_s"))
    files = held / i.workers + links(i._replace(proxies=1, workers=1), i.nodes) + costs.figure("proxy_files")
    processes = i.workers + (i.workers > 1)
    memory = costs.figure("proxy_bytes") * processes + held * costs.connection_bytes[i.tls]
    full = memory + limits.unfinished_bytes + limits.unread_bytes + limits.queue_bytes
    return [
        _load("a proxy's requests", rate, i.workers * COMFORTABLE / request_s, "a second"),
        _load("connections to a proxy", held, limits.clients),
        _load("connections of one identity", held / (i.identities or i.clients), limits.identity_clients),
        _load("requests in flight on a connection", i.in_flight, min(limits.client_in_flight, DEFAULT_MAX_IN_FLIGHT)),
        _load("a proxy's open files, by process", files, unit_files.limit(unit_files.PROXY, "LimitNOFILE")),
        _load(
            "a proxy's threads in a hot restart",
            2 * processes * costs.figure("proxy_threads"),
            unit_files.limit(unit_files.PROXY, "TasksMax"),
        ),
        _load("workers of a proxy", i.workers, MAX_WORKERS),
        _load("a proxy's processor", idle + i.workers * busy, None, "cores"),
        _load("a proxy's memory", memory / MIB, None, "MiB"),
        _load("the same, every buffer full", full / MIB, None, "MiB"),
    ]


def _returning(i: Installation, costs: Costs) -> list[Load]:
    each = i.clients * i.connections / i.proxies
    moved = each / i.proxies_left if i.proxies > i.connections else 0.0
    busy = i.limits.handshakes_per_s / i.workers * costs.handshake_s
    return [
        _load("until those of a lost proxy are back", back_s(moved, i.limits), OPEN_TIMEOUT_S, "s"),
        _load("until those of all proxies are back", back_s(each, i.limits), None, "s"),
        _load("a proxy's loop while they come", busy, 1.0, "cores"),
    ]


def _node(i: Installation, costs: Costs) -> list[Load]:
    work, rate = costs.works[i.operation], i.rate / i.nodes_left
    restarting = links(i._replace(proxies=i.proxies + 1))
    memory = costs.figure("node_bytes") + i.keys * costs.figure("key_bytes")
    in_flight = rate / i.proxies / i.workers * (work.loop_s + work.session_s)
    checked = max(0.0, costs.figure("node_checked_cores") - costs.figure("node_idle_cores"))
    loop = busy_cores(rate, work.loop_s, work.loop_s + costs.figure("node_light_s"))
    busy = costs.figure("node_idle_cores") + i.proxies * i.workers * checked + loop + rate * work.session_s
    threads = costs.figure("node_threads") + i.sessions
    return [
        _load("a node's requests", rate, work.most_per_s(i.sessions) * COMFORTABLE, "a second"),
        _load("in flight at a node, of one worker", in_flight, window(i, costs)),
        _load("links to a node, a proxy in a hot restart", restarting, i.node_limits.links),
        _load(
            "a node's open files",
            restarting + costs.figure("node_files"),
            unit_files.limit(unit_files.NODE, "LimitNOFILE"),
        ),
        _load("a node's threads", threads, unit_files.limit(unit_files.NODE, "TasksMax")),
        _load("checks of a node, its loop's part", i.proxies * i.workers * checked, MOST_FOR_CHECKS, "cores"),
        _load("a node's processor", busy, None, "cores"),
        _load("a node's memory", memory / MIB, None, "MiB"),
    ]


def _cluster(i: Installation, costs: Costs) -> list[Load]:
    page = proxy_page(i)
    of_a_proxy = scrape.series(page) + WORKER_FAMILIES * i.workers * (i.workers > 1)
    series = i.proxies * of_a_proxy + i.nodes * costs.figure("node_series")
    size = i.proxies * scrape.usual_bytes(page) + i.nodes * costs.figure("node_page_bytes")
    changes = i.node_limits.partition_changes_per_s * i.nodes_left
    return [
        _load("proxies in client.toml", i.proxies, MAX_PROXIES),
        _load("active nodes", i.nodes, PACKAGES["platinum"].max_active_nodes),
        _load("changes of one partition", i.changes_per_s / i.partitions, changes, "a second"),
        _load("links between proxies and nodes", links(i, i.nodes), None),
        _load("series of all metrics", series, None),
        _load("one scrape of all pages", size / 1024, None, "KiB"),
    ]


def _load(what: str, used: float, limit: float | None, unit: str = "") -> Load:
    return Load(what, used, limit, unit, KNOBS[what])
