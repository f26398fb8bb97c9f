"""proxy.toml: parsed once, checked, and passed on as frozen settings."""

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from hsm_cluster.address import Address, require_apart
from hsm_cluster.cluster import Cluster, load_cluster
from hsm_cluster.errors import ConfigurationError
from hsm_cluster.toml_file import load_toml, read_file
from hsm_daemon.lifecycle import EventLoop
from hsm_daemon.log_settings import LogSettings
from hsm_daemon.tls import TlsFiles
from proxy.core.settings import BalancingSettings, EjectionSettings, HealthSettings, Limits, RetrySettings, Settings

MAX_WORKERS: Final = 64
"""More than a machine has cores to spare for one proxy; each of them has links of its own to every node."""


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
    workers: Annotated[int, msgspec.Meta(ge=1, le=MAX_WORKERS)] | Literal["auto"] = 1
    """Processes that serve, each on a core of its own; `"auto"`: one for each core that this process may use. Limits
    hold for all of them together."""
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


class Sources(msgspec.Struct, frozen=True, array_like=True):
    """What the files held when they were read."""

    proxy: bytes
    """proxy.toml."""
    cluster: bytes
    """cluster.toml."""


class ProxyConfig(msgspec.Struct, frozen=True):
    """What the proxy runs with."""

    file: ProxyFile
    cluster: Cluster
    tls: TlsFiles | None
    """None: TLS is off, and every client is `tls_off_identity`."""
    path: Path
    """Where it was read from, and is read again at SIGHUP."""
    sources: Sources

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


def load_config(path: Path, sources: Sources | None = None) -> ProxyConfig:
    """Return the checked configuration.

    Args:
        path: of proxy.toml.
        sources: what was read of the files before; None: they are read now.

    Raises:
        ConfigurationError: a file is missing or wrong; its text is one line for the user.
    """
    text = sources.proxy if sources is not None else read_file(path)
    file = load_toml(path, ProxyFile, text)
    require_apart(path, file.listen, file.admin)
    folder = path.resolve().parent
    _check_workers(path, file)
    cluster_path = folder / file.cluster
    cluster_text = sources.cluster if sources is not None else read_file(cluster_path)
    cluster = load_cluster(cluster_path, cluster_text)
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
    return ProxyConfig(file, cluster, tls, path, Sources(text, cluster_text))


def worker_count(file: ProxyFile) -> int:
    """Return how many workers that is on this machine."""
    return min(MAX_WORKERS, len(os.sched_getaffinity(0))) if file.workers == "auto" else file.workers


def _check_workers(path: Path, file: ProxyFile) -> None:
    workers = worker_count(file)
    if file.limits.clients < workers:
        raise ConfigurationError(f"{path}: limits.clients is below the {workers} workers, among which it is divided")


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
