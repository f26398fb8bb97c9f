"""The cluster of `hsmctl dev --store etcd`: two active sites and one for disaster recovery, a store member in each."""

from pathlib import Path
from typing import Final

import msgspec

from hsmctl.dev.plan import Member, Plan, Site, StoreMember, free_ports
from hsmctl.failures import CommandError
from hsmctl.files import replace_file

SITES: Final = (
    Site("zurich", "CH-ZH", 47.3769, 8.5417, ("isp-a", "isp-b")),
    Site("geneva", "CH-GE", 46.2044, 6.1432, ("isp-a", "isp-b")),
    Site("alps", "CH-VS", 46.2276, 7.3586, ("isp-a", "isp-b"), "disaster-recovery"),
)
ACTIVE_NODES: Final = 2
"""At each active site; the DR site has one."""
PACKAGE: Final = "dedicated"
PORTS_FILE: Final = "etcd-ports.json"
"""Kept with the members' data: they know each other by their addresses."""

_Ports = dict[str, tuple[int, int, int]]


def make_data_centres(folder: Path, event_loop: str | None, softhsm: Path | None = None) -> Plan:
    """Return the plan; the store's members keep the ports that they have in that folder.

    Args:
        folder: of the cluster.
        event_loop: of the daemons; None: what they choose.
        softhsm: the library of SoftHSM2, in whose tokens the nodes' keys are; None: they are in software.

    Raises:
        CommandError: what says so cannot be read.
    """
    kept = _kept(folder / PORTS_FILE)
    nodes: list[Member] = []
    proxies: list[Member] = []
    stores: list[StoreMember] = []
    ports = free_ports(2 * (len(SITES) + sum(map(_nodes_at, SITES))) + 3 * len(SITES))
    for site in SITES:
        for _ in range(_nodes_at(site)):
            name = f"node-{len(nodes) + 1}"
            nodes.append(Member(name, "node", "hsm_node.cli", ports.pop(), ports.pop(), site.name))
        name = f"proxy-{len(proxies) + 1}"
        proxies.append(Member(name, "proxy", "proxy.cli", ports.pop(), ports.pop(), site.name))
        name = f"etcd-{site.name}"
        chosen = kept.get(name) or (ports.pop(), ports.pop(), ports.pop())
        stores.append(StoreMember(name, site.name, *chosen))
    return Plan(tuple(nodes), tuple(proxies), True, event_loop, SITES, PACKAGE, tuple(stores), softhsm)


def keep_ports(folder: Path, plan: Plan) -> None:
    """Write down where the store's members are."""
    ports: _Ports = {store.name: (store.port, store.peer_port, store.admin_port) for store in plan.stores}
    replace_file(folder / PORTS_FILE, msgspec.json.encode(ports) + b"\n")


def _nodes_at(site: Site) -> int:
    return 1 if site.is_standby else ACTIVE_NODES


def _kept(path: Path) -> _Ports:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Ports)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError):
        raise CommandError(f"{path} cannot be read; bring it back, or remove the folder to start anew") from None
