"""A new configuration for a node that runs: what it changes, and what has to wait for a restart."""

import ssl
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsm_cluster.cluster import Cluster
from hsm_daemon.errors import StartError
from hsm_daemon.tls import TlsFiles, identity_of, not_after, server_context
from hsm_node.config import NodeConfig, load_node_config

FIXED: Final = ("name", "listen", "admin", "state_dir", "store", "keystore", "sessions", "event_loop", "limits")
"""Settings of node.toml that a process keeps for its life: sockets, threads, queues and the store were made of them."""


class Certificates(NamedTuple):
    """What was made of the files of `tls`."""

    context: ssl.SSLContext
    identity: str
    """Who this node is by its certificate; empty where it says nothing."""
    not_after: int
    """When that expires: seconds since 1970."""


class Reconfiguration(NamedTuple):
    """What a node is to run with from now on."""

    config: NodeConfig
    cluster: Cluster
    certificates: Certificates | None
    restart_for: tuple[str, ...]
    """Settings that differ from those in use and need a restart; `config` has the old ones."""


def load_certificates(files: TlsFiles | None) -> Certificates | None:
    """Read and check the certificates; None without TLS.

    Raises:
        StartError: a file is missing, bad or expired.
    """
    if files is None:
        return None
    context = server_context(files)
    leaf = x509.load_pem_x509_certificates(files.certificate.read_bytes())[0]
    found = identity_of(leaf.public_bytes(Encoding.DER))
    return Certificates(context, "" if found is None else found.identity, not_after(files))


def load(path: Path, config: NodeConfig, cluster: Cluster) -> Reconfiguration:
    """Read everything anew and check it; nothing is changed.

    Args:
        path: of node.toml.
        config: what the node runs with.
        cluster: the same.

    Raises:
        ConfigurationError: node.toml or cluster.toml is wrong.
        StartError: a certificate is.
    """
    new, new_cluster = load_node_config(path)
    certificates = load_certificates(new.tls_files)
    fixed = {name: getattr(config, name) for name in FIXED if getattr(config, name) != getattr(new, name)}
    restart_for = [*fixed]
    new = msgspec.structs.replace(new, **fixed)
    if new_cluster.name != cluster.name:
        restart_for.append("cluster name")  # Every identity and the store have it.
        new_cluster = cluster
    new_cluster.node(config.name)
    if (new.tls_files is None) != (config.tls_files is None):
        restart_for.append("tls on or off")
        new, certificates = msgspec.structs.replace(new, tls=config.tls), None
    wanted = f"spiffe://{cluster.name}/node/{config.name}"
    if certificates is not None and certificates.identity != wanted:
        raise StartError(f"the certificate is of {certificates.identity or 'nobody'}, not of {wanted}; correct tls")
    return Reconfiguration(new, new_cluster, certificates, tuple(restart_for))
