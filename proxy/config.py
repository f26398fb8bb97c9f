"""proxy.toml: parsed once, checked, and passed on as frozen settings."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from hsm_cluster.address import Address, require_apart
from hsm_cluster.cluster import Cluster, load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.toml_file import load_toml
from hsm_daemon.lifecycle import EventLoop
from hsm_daemon.log_settings import LogSettings
from hsm_daemon.tls import TlsFiles
from proxy.core.settings import BalancingSettings, EjectionSettings, HealthSettings, Limits, RetrySettings, Settings


class TlsTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tls = { ca, certificate, key }`: files in PEM, relative to proxy.toml."""

    ca: str
    """Whom we trust."""
    certificate: str
    """Who we are: its URI SAN is `spiffe://CLUSTER/proxy/NAME`."""
    key: str
    """The key that proves it, without a password; nobody else should read it (0400)."""


class ProxyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """proxy.toml as it is written."""

    cluster: str
    """Path of cluster.toml, relative to this file."""
    name: str
    """Of this proxy, in logs and `hsmctl status`."""
    site: str
    """Where it is: a site of cluster.toml, shown by `hsmctl status`."""
    tls: TlsTable | Literal["off"]
    """Files, relative to this one. `"off"` is for package sandbox on loopback."""
    listen: Address = Address("0.0.0.0", 2410)
    """Where clients connect."""
    admin: Address = Address("127.0.0.1", 9410)
    """Metrics, health and status pages over HTTP; other than on loopback over mutual TLS."""
    state_dir: str | None = None
    """Where it keeps the highest epoch that it has seen, relative to this file; a folder of this proxy alone. Without
    it a restart forgets that the DR site was promoted."""
    tls_off_identity: str | None = None
    """With `tls = "off"`: the client that everybody is taken for."""
    event_loop: EventLoop | None = None
    """None: HSM_EVENT_LOOP, else uvloop where it is installed."""
    log: LogSettings = LogSettings()
    """`[log]`."""
    limits: Limits = Limits()
    """`[limits]`."""
    retry: RetrySettings = RetrySettings()
    """`[retry]`."""
    health: HealthSettings = HealthSettings()
    """`[health]`."""
    ejection: EjectionSettings = EjectionSettings()
    """`[ejection]`."""
    balancing: BalancingSettings = BalancingSettings()
    """`[balancing]`."""

    def settings(self) -> Settings:
        """Return the tables as the core shares them."""
        return Settings(self.limits, self.retry, self.health, self.ejection, self.balancing)


class ProxyConfig(msgspec.Struct, frozen=True):
    """What the proxy runs with."""

    file: ProxyFile
    cluster: Cluster
    tls: TlsFiles | None
    """None: TLS is off, and every client is `tls_off_identity`."""
    path: Path
    """Where it was read from, and is read again at SIGHUP."""

    @property
    def state_dir(self) -> Path | None:
        """The folder `state_dir`; None: there is none."""
        return None if self.file.state_dir is None else self.path.resolve().parent / self.file.state_dir

    def effective(self) -> dict[str, Any]:
        """Return every setting with its value, for `--check`. Key files are named, not read."""
        settings: dict[str, Any] = msgspec.to_builtins(self.file, enc_hook=str)
        return settings | {
            "listen": str(self.file.listen),
            "admin": str(self.file.admin),
            "configuration_hash": self.cluster.configuration_hash,
            "durability": self.cluster.durability,
        }


def load_config(path: Path) -> ProxyConfig:
    """Return the checked configuration.

    Raises:
        ConfigurationError: a file is missing or wrong; its text is one line for the user.
    """
    file = load_toml(path, ProxyFile)
    require_apart(path, file.listen, file.admin)
    folder = path.resolve().parent
    cluster = load_cluster(folder / file.cluster)
    if all(site.name != file.site for site in cluster.sites):
        known = ", ".join(site.name for site in cluster.sites)
        raise ConfigurationError(f"{path}: site {file.site!r} is not in {file.cluster}; it has {known}")
    tls = None
    if isinstance(file.tls, TlsTable):
        tls = TlsFiles(folder / file.tls.ca, folder / file.tls.certificate, folder / file.tls.key)
        if file.tls_off_identity is not None:
            raise ConfigurationError(f'{path}: tls_off_identity goes with tls = "off" only; remove it')
    else:
        _check_tls_off(path, file, cluster)
    return ProxyConfig(file, cluster, tls, path)


def _check_tls_off(path: Path, file: ProxyFile, cluster: Cluster) -> None:
    """Without TLS nobody can say who asks: only for trying out, on one machine."""
    if cluster.package.name != "sandbox":
        raise ConfigurationError(f'{path}: tls = "off" is for package sandbox only; name ca, certificate and key')
    if not file.listen.is_loopback:
        raise ConfigurationError(f'{path}: tls = "off" is for loopback only; listen is {file.listen}')
    if file.tls_off_identity is None:
        raise ConfigurationError(f'{path}: tls = "off" needs tls_off_identity, the identity that clients are taken for')
    if cluster.principal_of(file.tls_off_identity) is None:
        raise ConfigurationError(
            f"{path}: tls_off_identity {file.tls_off_identity!r} is no client in {file.cluster}; add it there"
        )
