"""A new configuration for a node that runs: what it changes, and what has to wait for a restart."""

from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from hsm_cluster.cluster import Cluster
from hsm_daemon import logs
from hsm_daemon.errors import StartError
from hsm_daemon.tls import Certificates, load_certificates
from hsm_node.config import NodeConfig, StoreConfig, load_node_config

FIXED: Final = ("name", "listen", "admin", "state_dir", "store", "backend", "sessions", "event_loop", "limits")
"""Settings of node.toml that a process keeps for its life: sockets, threads, queues and the store were made of them.
Of `keystore`, `next_master_key.Succession` decides; members of a distributed store may come and go."""

OF_A_STORE: Final = tuple(name for name in StoreConfig.__struct_fields__ if name != "endpoints")
"""What makes a store another one: all but its members."""


class Reconfiguration(NamedTuple):
    """What a node is to run with from now on."""

    config: NodeConfig
    cluster: Cluster
    certificates: Certificates | None
    store_certificates: Certificates | None
    """What this node shows to the store's members; the store itself reads the files again."""
    restart_for: tuple[str, ...]
    """Settings that differ from those in use and need a restart; `config` has the old ones."""


def load(path: Path, config: NodeConfig, cluster: Cluster) -> Reconfiguration:
    """Read everything anew and check it; nothing is changed.

    Args:
        path: of node.toml.
        config: what the node runs with.
        cluster: the same.

    Raises:
        ConfigurationError: node.toml or cluster.toml is wrong.
        StartError: a certificate is, or a level of the log; or the cluster wants what this process cannot do.
    """
    new, new_cluster = load_node_config(path)
    logs.check(new.log)
    certificates = load_certificates(new.tls_files)
    fixed = {name: getattr(config, name) for name in FIXED if getattr(config, name) != getattr(new, name)}
    if all(getattr(config.store, name) == getattr(new.store, name) for name in OF_A_STORE):
        fixed.pop("store", None)
    restart_for = [*fixed]
    new = msgspec.structs.replace(new, **fixed)
    if new_cluster.name != cluster.name:
        restart_for.append("cluster name")  # Every identity and the store have it.
        new_cluster = cluster
    new_cluster.node(config.name)
    if new_cluster.durability == "dr" and new.store.dr_endpoint is None:  # The file has it, this process has not.
        raise StartError('the cluster has durability "dr" now, and this node runs without dr_endpoint; restart it')
    if (new.tls_files is None) != (config.tls_files is None):
        restart_for.append("tls on or off")
        new, certificates = msgspec.structs.replace(new, tls=config.tls), None
    wanted = f"spiffe://{cluster.name}/node/{config.name}"
    if certificates is not None and certificates.identity != wanted:
        raise StartError(f"the certificate is of {certificates.identity or 'nobody'}, not of {wanted}; correct tls")
    shown = load_certificates(new.store.tls_files)
    return Reconfiguration(new, new_cluster, certificates, shown, tuple(restart_for))
