"""node.toml: parsed once, at the edge, into one frozen struct. Paths in it are relative to the file."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from hsm_cluster.address import Address, require_apart
from hsm_cluster.cluster import Cluster, load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.toml_file import load_toml
from hsm_daemon.log_settings import LogSettings
from hsm_daemon.tls import TlsFiles
from hsm_node.backends.pkcs11.settings import DeviceSettings, SoftwareSettings
from hsm_node.core.limits import DEFAULTS, Limits
from hsm_node.core.recovery_settings import RecoverySettings
from hsm_node.master_key import MasterKeyConfig
from hsm_wire.limits import MAX_STORE_MEMBERS

MAX_ENDPOINTS: Final = MAX_STORE_MEMBERS
"""Members of etcd: five are many, and while they are exchanged there are more."""


class StoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[store]`."""

    driver: Literal["sqlite", "etcd"] = "sqlite"
    """How records are kept: in a file that the nodes of one host share, or by etcd, with a member per site."""
    path: Path | None = None
    """sqlite: the file, relative to this one; the same for all nodes of a host, on a local disk."""
    endpoints: Annotated[tuple[Address, ...], msgspec.Meta(max_length=MAX_ENDPOINTS)] = ()
    """etcd: where its members serve clients, all of them, the one of this site first: it is preferred."""
    dr_endpoint: Address | None = None
    """etcd: that one of endpoints which is at the disaster-recovery site. Without it nobody can ask for durability
    `dr`."""
    tls: TlsFiles | Literal["off"] | None = None
    """etcd: files for mutual TLS, with the store's own CA; under the same names they are read anew at SIGHUP. `"off"`
    is for package sandbox on loopback."""

    def __post_init__(self) -> None:
        if self.driver == "sqlite":
            if self.path is None:
                raise ValueError('driver "sqlite" needs path')
            if self.endpoints or self.tls is not None or self.dr_endpoint is not None:
                raise ValueError('endpoints, dr_endpoint and tls are for driver "etcd"')
            return
        if self.path is not None:
            raise ValueError('path is for driver "sqlite"')
        if not self.endpoints or self.tls is None:
            raise ValueError('driver "etcd" needs endpoints and tls')
        if len(set(self.endpoints)) < len(self.endpoints):
            raise ValueError("endpoints names a member twice")
        if self.dr_endpoint is not None and self.dr_endpoint not in self.endpoints:
            raise ValueError(f"dr_endpoint {self.dr_endpoint} is none of endpoints")

    @property
    def tls_files(self) -> TlsFiles | None:
        """The certificate's files; None where TLS is off."""
        return self.tls if isinstance(self.tls, TlsFiles) else None

    @property
    def is_open(self) -> bool:
        """Whether somebody beside the nodes of this host can reach the store without a certificate."""
        return self.tls == "off" and not all(address.is_loopback for address in self.endpoints)


class KeystoreConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[keystore]`."""

    master_key: MasterKeyConfig
    """Where the key that wraps all records comes from."""
    next_master_key: MasterKeyConfig | None = None
    """What follows it: held for opening until `hsmctl master-key rotate` takes it into use."""
    backend: Literal["software"] = "software"
    """Has no meaning any more: `[backend]` says what computes."""

    def __post_init__(self) -> None:
        if self.next_master_key is not None and self.next_master_key.shares is not None:
            raise ValueError("next_master_key lies in a file or credential: nobody gives shares to a node that serves")
        if self.master_key.device is not None and self.next_master_key is not None:
            raise ValueError("a master key in a device has no successor yet: remove next_master_key")


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
    backend: SoftwareSettings | DeviceSettings = SoftwareSettings()
    """`[backend]`: what computes, and where keys are."""
    sessions: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    """Threads for dear operations."""
    event_loop: Literal["uvloop", "asyncio"] | None = None
    """None: HSM_EVENT_LOOP, else uvloop where it is installed."""
    log: LogSettings = LogSettings()
    """`[log]`."""
    limits: Limits = DEFAULTS
    """`[limits]`."""
    recovery: RecoverySettings = RecoverySettings()
    """`[recovery]`."""

    @property
    def tls_files(self) -> TlsFiles | None:
        """The certificate's files; None where TLS is off."""
        return self.tls if isinstance(self.tls, TlsFiles) else None

    @property
    def backend_kind(self) -> str:
        """Where the keys are, in one word."""
        return "pkcs11" if isinstance(self.backend, DeviceSettings) else "software"

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
    require_apart(path, config.listen, config.admin)
    if isinstance(config.backend, DeviceSettings) != (config.keystore.master_key.device is not None):
        raise ConfigurationError(
            f'{path}: master_key = {{ device = "LABEL" }} and [backend] kind = "pkcs11" go together; correct either'
        )
    if config.tls == "off" and not (config.listen.is_loopback and cluster.package.name == "sandbox"):
        raise ConfigurationError(
            f'{path}: tls = "off" is only for a loopback address and package "sandbox"; name ca, certificate and key'
        )
    if config.store.tls == "off" and (config.store.is_open or cluster.package.name != "sandbox"):
        raise ConfigurationError(
            f'{path}: store.tls = "off" is only for loopback endpoints and package "sandbox"; name the files of a '
            "certificate of the store's own CA"
        )
    _check_durability(path, config.store, cluster)
    return config, cluster


def maybe_warning(config: NodeConfig, cluster: Cluster) -> str | None:
    """Return what the files allow and nobody can mean: a store of this host alone, of a cluster that is at several."""
    sites = sorted({node.site for node in cluster.nodes})
    one_host = all(path.address.is_loopback for node in cluster.nodes for path in node.paths)
    if config.store.path is None or len(sites) < 2 or one_host:
        return None
    return (
        f"store.path is a file of this host, and nodes are at the sites {', '.join(sites)}: each host makes a store "
        'with keys of its own; set driver = "etcd" in [store]'
    )


def _check_durability(path: Path, store: StoreConfig, cluster: Cluster) -> None:
    if store.dr_endpoint is None:
        if cluster.durability == "dr":
            raise ConfigurationError(
                f'{path}: the cluster has durability "dr", so [store] needs driver "etcd" and dr_endpoint, the member '
                f"at site {cluster.recovery_sites[0]!r}"
            )
    elif len(cluster.recovery_sites) != 1:
        raise ConfigurationError(
            f"{path}: store.dr_endpoint is for a cluster with one disaster-recovery site, and {cluster.name} has "
            f"{len(cluster.recovery_sites)}; leave it out"
        )
