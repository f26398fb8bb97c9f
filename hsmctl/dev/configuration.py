"""The TOML files of a development cluster, made from its plan."""

import json
from pathlib import Path
from typing import Any, Final

from hsmctl.dev.plan import CLIENT_IDENTITY, CLUSTER, OPERATOR_IDENTITY, Member, Plan, Site, StoreMember
from hsmctl.dev.soft_tokens import backend_toml

STORE_MEMBERS: Final = "redoubt-etcd"
"""Common name of the certificates of all members of a store: each takes only those for a member."""
_quoted = json.dumps
"""A JSON string without control characters is a TOML basic string."""


def cluster_toml(plan: Plan) -> str:
    """Return the topology: sites, nodes, one partition; its client has all roles, so it operates too."""
    uplinks = {site.name: site.uplinks[0] for site in plan.sites}
    nodes = "".join(
        f'\n[[nodes]]\nname = "{node.name}"\nsite = "{node.site}"\nweight = 1\n'
        f'paths = [{{ uplink = "{uplinks[node.site]}", address = "{node.address}" }}]\n'
        for node in plan.nodes
    )
    return (
        f'[cluster]\nname = "{CLUSTER}"\npackage = "{plan.package}"\n'
        f"{''.join(map(_site_toml, plan.sites))}{nodes}"
        f'\n[[partitions]]\nid = 1\nname = "dev"\n'
        f'clients = [{{ identity = "{CLIENT_IDENTITY}", roles = ["use", "manage", "audit"] }}]\n'
        f'\n[[operators]]\nidentity = "{OPERATOR_IDENTITY}"\n'
        f'\n[[operators]]\nidentity = "{CLIENT_IDENTITY}"\n'
    )


def node_toml(plan: Plan, node: Member) -> str:
    """Return a node's configuration."""
    software = '\n[keystore]\nbackend = "software"\nmaster_key = { file = "master.key" }\n'
    return _daemon_toml(plan, node) + (
        f'state_dir = "state/{node.name}"\n'
        f"\n[store]\n{_store_toml(plan, node)}"
        f"{software if plan.softhsm is None else backend_toml(plan.softhsm, node)}"
    )


def proxy_toml(plan: Plan, proxy: Member) -> str:
    """Return a proxy's configuration."""
    return _daemon_toml(plan, proxy, f'site = "{proxy.site}"\nstate_dir = "state/{proxy.name}"\n')


def client_toml(plan: Plan, name: str) -> str:
    """Return client.toml: all proxies and, with TLS, that client's certificate."""
    proxies = ", ".join(_quoted(proxy.address) for proxy in plan.proxies)
    tls = f'ca = "ca.pem"\ncertificate = "{name}.pem"\nkey = "{name}-key.pem"\n' if plan.tls else 'tls = "off"\n'
    return f"proxies = [{proxies}]\n{tls}"


def store_json(plan: Plan, store: StoreMember, folder: Path) -> dict[str, Any]:
    """Return a member's configuration, as etcd reads it (JSON is YAML too); its folders are absolute."""
    security = {
        "cert-file": str(folder / f"{store.name}.pem"),
        "key-file": str(folder / f"{store.name}-key.pem"),
        "trusted-ca-file": str(folder / "store-ca.pem"),
        "client-cert-auth": True,
    }
    return {
        "name": store.name,
        "data-dir": str(folder / "etcd" / store.name),
        "listen-client-urls": f"https://{store.address}",
        "advertise-client-urls": f"https://{store.address}",
        "listen-peer-urls": f"https://{store.peer}",
        "initial-advertise-peer-urls": f"https://{store.peer}",
        "initial-cluster": ",".join(f"{other.name}=https://{other.peer}" for other in plan.stores),
        "initial-cluster-token": CLUSTER,
        "listen-metrics-urls": f"http://{store.admin}",
        "client-transport-security": security,
        "peer-transport-security": security | {"allowed-cn": [STORE_MEMBERS]},
        "pre-vote": True,
        "experimental-initial-corrupt-check": True,
        "experimental-compact-hash-check-enabled": True,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "log-level": "warn",
    }


def _site_toml(site: Site) -> str:
    uplinks = ", ".join(map(_quoted, site.uplinks))
    return (
        f'\n[[sites]]\nname = "{site.name}"\nrole = "{site.role}"\nrisk_zone = "{site.risk_zone}"\n'
        f"latitude = {site.latitude}\nlongitude = {site.longitude}\nuplinks = [{uplinks}]\n"
    )


def _store_toml(plan: Plan, node: Member) -> str:
    if not plan.stores:
        return 'driver = "sqlite"\npath = "store.db"\n'
    near_first = sorted(plan.stores, key=lambda store: store.site != node.site)
    endpoints = ", ".join(_quoted(store.address) for store in near_first)
    standby = {site.name for site in plan.sites if site.is_standby}
    recovery = "".join(f"dr_endpoint = {_quoted(store.address)}\n" for store in plan.stores if store.site in standby)
    return (
        f'driver = "etcd"\nendpoints = [{endpoints}]\n{recovery}'
        f'tls = {{ ca = "store-ca.pem", certificate = "{node.name}-store.pem", key = "{node.name}-store-key.pem" }}\n'
    )


def _daemon_toml(plan: Plan, member: Member, more: str = "") -> str:
    if plan.tls:
        tls = f'tls = {{ ca = "ca.pem", certificate = "{member.name}.pem", key = "{member.name}-key.pem" }}\n'
    else:
        tls = 'tls = "off"\n'
        if member.kind == "proxy":
            tls += f'tls_off_identity = "{CLIENT_IDENTITY}"\n'
    loop = f'event_loop = "{plan.event_loop}"\n' if plan.event_loop else ""
    return (
        f'cluster = "cluster.toml"\nname = "{member.name}"\n{more}'
        f'listen = "{member.address}"\nadmin = "{member.admin}"\n{tls}{loop}'
    )
