"""The TOML files of a development cluster, made from its plan."""

import json

from hsmctl.dev.plan import CLIENT_IDENTITY, CLUSTER, OPERATOR_IDENTITY, SITE, Member, Plan

_quoted = json.dumps
"""A JSON string without control characters is a TOML basic string."""


def cluster_toml(plan: Plan) -> str:
    """Return the topology: one site, the nodes, one partition; its client has all roles, so it operates too."""
    nodes = "".join(
        f'\n[[nodes]]\nname = "{node.name}"\nsite = "{SITE}"\nweight = 1\n'
        f'paths = [{{ uplink = "loopback", address = "{node.address}" }}]\n'
        for node in plan.nodes
    )
    return (
        f'[cluster]\nname = "{CLUSTER}"\npackage = "sandbox"\n'
        f'\n[[sites]]\nname = "{SITE}"\nrisk_zone = "this-machine"\nlatitude = 47.3769\nlongitude = 8.5417\n'
        f'uplinks = ["loopback"]\n{nodes}'
        f'\n[[partitions]]\nid = 1\nname = "dev"\n'
        f'clients = [{{ identity = "{CLIENT_IDENTITY}", roles = ["use", "manage", "audit"] }}]\n'
        f'\n[[operators]]\nidentity = "{OPERATOR_IDENTITY}"\n'
        f'\n[[operators]]\nidentity = "{CLIENT_IDENTITY}"\n'
    )


def node_toml(plan: Plan, node: Member) -> str:
    """Return a node's configuration."""
    return _daemon_toml(plan, node) + (
        f'state_dir = "state/{node.name}"\n'
        '\n[store]\ndriver = "sqlite"\npath = "store.db"\n'
        '\n[keystore]\nbackend = "software"\nmaster_key = { file = "master.key" }\n'
    )


def proxy_toml(plan: Plan, proxy: Member) -> str:
    """Return a proxy's configuration."""
    return _daemon_toml(plan, proxy, f'site = "{SITE}"\n')


def client_toml(plan: Plan, name: str) -> str:
    """Return client.toml: all proxies and, with TLS, that client's certificate."""
    proxies = ", ".join(_quoted(proxy.address) for proxy in plan.proxies)
    tls = f'ca = "ca.pem"\ncertificate = "{name}.pem"\nkey = "{name}-key.pem"\n' if plan.tls else 'tls = "off"\n'
    return f"proxies = [{proxies}]\n{tls}"


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
