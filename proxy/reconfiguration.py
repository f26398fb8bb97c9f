"""A new configuration for a proxy that runs: what it changes, what stays, and what has to wait for a restart."""

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hsm_cluster.topology import Node as TopologyNode
from hsm_daemon import logs
from hsm_daemon.tls import Certificates, load_certificates
from proxy.config import ProxyConfig, ProxyFile, Sources, load_config
from proxy.core.nodes.node_table import Node
from proxy.core.settings import Limits

FIXED: Final = ("listen", "admin", "name", "site", "event_loop", "state_dir", "workers")
"""Settings of proxy.toml that a process keeps for its life: other things were made of them."""
FULL_RESTART: Final = frozenset({"listen", "admin"})
"""Those of them that a hot restart keeps as well: the successor serves on the sockets that it inherits."""
FIXED_LIMITS: Final = (
    "handshakes_per_s",
    "handshakes_burst",
    "handshakes_crowd",
    "handshakes_sustained_per_s",
    "handshakes_at_once",
    "handshake_s",
    "closing_s",
)
"""The same of [limits]: the listener's pace, and its limits of TLS."""


class Reconfiguration(NamedTuple):
    """What a proxy is to run with from now on."""

    config: ProxyConfig
    certificates: Certificates | None
    restart_for: tuple[str, ...]
    """Settings that differ from those in use and need a restart; `config` has the old ones."""


def what_to_do(restart_for: Collection[str]) -> str:
    """Return which restart those settings need."""
    full = ", ".join(name for name in restart_for if name in FULL_RESTART)
    if not full:
        return "the old values stay until a hot restart (SIGUSR2) or a restart"
    others = "; for the others a hot restart (SIGUSR2) does" if len(restart_for) > full.count(",") + 1 else ""
    return f"the old values stay until a restart: stop and start for {full}{others}"


def load(path: Path, running: ProxyConfig, identity: str | None, sources: Sources | None = None) -> Reconfiguration:
    """Read everything anew and check it; nothing is changed.

    Args:
        path: of proxy.toml.
        running: what the proxy runs with.
        identity: who it is by its certificate.
        sources: what was read of the files before; None: they are read now.

    Raises:
        ConfigurationError: proxy.toml or cluster.toml is wrong.
        StartError: a certificate is, or a level of the log.
    """
    new = load_config(path, sources)
    logs.check(new.file.log)
    certificates = load_certificates(new.tls)
    file, restart_for = _kept(running.file, new.file)
    cluster, tls = new.cluster, new.tls
    if cluster.name != running.cluster.name:
        restart_for.append("cluster name")  # every identity has it: nothing of that file fits those who are connected
        cluster = running.cluster
    if (new.tls is None) != (running.tls is None):
        restart_for.append("tls on or off")
        file = msgspec.structs.replace(file, tls=running.file.tls, tls_off_identity=running.file.tls_off_identity)
        tls, certificates = running.tls, None
    elif certificates is not None and certificates.identity != identity:
        restart_for.append("identity of the certificate")  # the nodes know this process under the old one
        tls, certificates = running.tls, None
    return Reconfiguration(ProxyConfig(file, cluster, tls, path, new.sources), certificates, tuple(restart_for))


def _kept(running: ProxyFile, new: ProxyFile) -> tuple[ProxyFile, list[str]]:
    """Return the new settings with the old ones where a restart is needed, and the names of these."""
    fixed = {name: getattr(running, name) for name in FIXED if getattr(running, name) != getattr(new, name)}
    limits = _differing(running.limits, new.limits)
    file = msgspec.structs.replace(new, **fixed, limits=msgspec.structs.replace(new.limits, **limits))
    return file, [*fixed, *(f"limits.{name}" for name in limits)]


def _differing(running: Limits, new: Limits) -> dict[str, float]:
    return {name: getattr(running, name) for name in FIXED_LIMITS if getattr(running, name) != getattr(new, name)}


def node_of(node: TopologyNode) -> Node:
    """Return a node of the cluster's topology as the core keeps it."""
    return Node(node.name, node.site, node.weight, [(path.uplink, str(path.address)) for path in node.paths])


def merged(running: Iterable[Node], wanted: Iterable[TopologyNode]) -> list[Node]:
    """Return the nodes that are wanted; those that run and have the same paths stay the objects they are.

    Their connections stay with them, whatever became of site, weight and the order of the paths.
    """
    by_name = {node.name: node for node in running}
    return [_merged(by_name.get(node.name), node_of(node)) for node in wanted]


def _merged(running: Node | None, wanted: Node) -> Node:
    if running is None:
        return wanted
    order = [(path.uplink, path.address) for path in wanted.paths]
    if {(path.uplink, path.address) for path in running.paths} != set(order):
        wanted.requests = running.requests  # counters go on under the node's name
        wanted.failures = running.failures
        wanted.duration_buckets = running.duration_buckets
        return wanted
    running.site = wanted.site
    running.weight = wanted.weight
    running.paths.sort(key=lambda path: order.index((path.uplink, path.address)))
    return running
