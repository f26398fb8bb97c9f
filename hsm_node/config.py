"""node.toml: parsed once, at the edge, into one frozen struct. Paths in it are relative to the file."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from hsm_cluster.address import Address
from hsm_cluster.cluster import Cluster, load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.toml_file import load_toml
from hsm_daemon.log_settings import LogSettings
from hsm_daemon.tls import TlsFiles
from hsm_node.core.limits import DEFAULTS, Limits
from hsm_node.master_key import MasterKeyConfig


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`."""

    path: Path
    """The SQLite file, relative to this one; the same for all nodes of a host, on a local disk."""
    driver: Literal["sqlite"] = "sqlite"
    """How records are kept."""


class KeystoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[keystore]`."""

    master_key: MasterKeyConfig
    """Where the key that wraps all records comes from."""
    next_master_key: MasterKeyConfig | None = None
    """What follows it: held for opening until `hsmctl master-key rotate` takes it into use."""
    backend: Literal["software"] = "software"
    """What computes."""

    def __post_init__(self) -> None:
        if self.next_master_key is not None and self.next_master_key.shares is not None:
            raise ValueError("next_master_key lies in a file or credential: nobody gives shares to a node that serves")


class NodeConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file, field by field."""

    cluster: Path
    """cluster.toml, relative to this file."""
    name: str
    """One of its nodes."""
    tls: TlsFiles | Literal["off"]
    """Files, relative to this one. `"off"` is for package sandbox on loopback."""
    store: StoreConfig
    """`[store]`."""
    keystore: KeystoreConfig
    """`[keystore]`."""
    state_dir: Path
    """A folder of this node alone: what it has seen of the store, and its local socket. No part of a backup."""
    listen: Address = Address("127.0.0.1", 2420)
    """Where proxies connect."""
    admin: Address = Address("127.0.0.1", 9420)
    """Metrics, health and status over HTTP; other than on loopback over mutual TLS."""
    sessions: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    """Threads for dear operations."""
    event_loop: Literal["uvloop", "asyncio"] | None = None
    """None: HSM_EVENT_LOOP, else uvloop where it is installed."""
    log: LogSettings = LogSettings()
    """`[log]`."""
    limits: Limits = DEFAULTS
    """`[limits]`."""

    @property
    def tls_files(self) -> TlsFiles | None:
        """The certificate's files; None where TLS is off."""
        return self.tls if isinstance(self.tls, TlsFiles) else None

    def effective(self) -> dict[str, Any]:
        """Return what holds, without secrets: of the master key only its source is known here."""
        shown: dict[str, Any] = msgspec.to_builtins(self, enc_hook=str)
        return shown


def load_node_config(path: Path) -> tuple[NodeConfig, Cluster]:
    """Read node.toml and the cluster file that it names.

    Raises:
        ConfigurationError: one line that says what is wrong, where, and what to do.
    """
    config = load_toml(path, NodeConfig)
    cluster = load_cluster(config.cluster)
    cluster.node(config.name)
    if config.tls == "off" and not (config.listen.is_loopback and cluster.package.name == "sandbox"):
        raise ConfigurationError(
            f'{path}: tls = "off" is only for a loopback address and package "sandbox"; name ca, certificate and key'
        )
    return config, cluster
