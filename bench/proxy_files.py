"""proxy.toml and cluster.toml of the proxy that is measured: its defaults, on loopback."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bench.certificates import CLUSTER

IDENTITY = f"spiffe://{CLUSTER}/client/client"
"""Of the load: in its certificate, and of everybody where there is no TLS."""

UNPACED: Final = "".join(
    f"{name} = {value}\n"
    for name, value in {
        "handshakes_per_s": 100_000.0,
        "handshakes_sustained_per_s": 100_000.0,
        "handshakes_burst": 1_000,
        "clients": 100_000,
        "identity_clients": 100_000,
    }.items()
)
"""`[limits]` of a proxy that takes all connections at once: usually it takes them at a pace that leaves others their
time, and fewer from one identity, which all of the load is."""


def write_proxy_files(folder: Path, ports: Mapping[str, int], *, tls: bool, limits: str = "") -> Path:
    """Write both files for nodes on these ports; return the path of proxy.toml. `limits`: lines of its `[limits]`."""
    (folder / "cluster.toml").write_text(_cluster(ports))
    security = '{ ca = "ca.pem", certificate = "proxy.pem", key = "proxy-key.pem" }' if tls else '"off"'
    identity = "" if tls else f'tls_off_identity = "{IDENTITY}"\n'
    config = folder / "proxy.toml"
    config.write_text(
        f'cluster = "cluster.toml"\nname = "proxy"\nsite = "local"\nlisten = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\n'
        f"tls = {security}\n{identity}[limits]\n{limits}"
    )
    return config


def _cluster(ports: Mapping[str, int]) -> str:
    entries = "".join(
        f'[[nodes]]\nname = "{name}"\nsite = "local"\nweight = 1\n'
        f'paths = [{{ uplink = "loopback", address = "127.0.0.1:{port}" }}]\n'
        for name, port in ports.items()
    )
    return (
        f'[cluster]\nname = "{CLUSTER}"\npackage = "sandbox"\n'
        '[[sites]]\nname = "local"\nrisk_zone = "local"\nlatitude = 0.0\nlongitude = 0.0\nuplinks = ["loopback"]\n'
        f'{entries}[[partitions]]\nid = 1\nname = "bench"\n'
        f'clients = [{{ identity = "{IDENTITY}", roles = ["use", "manage"] }}]\n'
    )
