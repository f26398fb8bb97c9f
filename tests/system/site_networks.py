"""A network of sites: each a namespace with one link to a bridge, on which packets are dropped without a reset.

Only root has such networks, where `ip` and `iptables` are there. What happens inside of a site goes over its own
loopback and is never dropped; we ourselves are on the bridge, as clients of every site.
"""

import contextlib
import ctypes
import os
import secrets
import signal
from collections.abc import Iterator, Sequence
from itertools import count

from networks import keeper, namespaces_work, run

_NETWORK = 214
"""10.214.x.y: the test's own addresses."""
_CLONE_NEWNET = 0x40000000
_LINK = "uplink"
"""The name of each site's link, inside."""


def namespaces_lack() -> str:
    """Return why there can be no such networks here; empty where they can be."""
    return "" if namespaces_work() else "sites as networks need root, ip and iptables: run the tests as root"


class SiteNetworks:
    """Namespaces and the bridge between them. `close` leaves the machine as it was."""

    def __init__(self, sites: Sequence[str]) -> None:
        token = secrets.token_hex(3)
        block = int(token[:2], 16)
        self._bridge = f"rd{token}"
        self.namespaces = {site: f"redoubt-{token}-{site}" for site in sites}
        hosts = count(2)
        self.addresses = {site: f"10.{_NETWORK}.{block}.{next(hosts)}" for site in sites}
        self._rules: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        leave = [["ip", "netns", "del", name] for name in self.namespaces.values()]
        self._keeper = keeper(*leave, ["ip", "link", "del", self._bridge])
        run("ip", "link", "add", self._bridge, "type", "bridge")
        run("ip", "addr", "add", f"10.{_NETWORK}.{block}.1/24", "dev", self._bridge)
        run("ip", "link", "set", self._bridge, "up")
        for number, site in enumerate(sites):
            self._connect(site, f"{self._bridge}-{number}")

    def command(self, site: str, command: list[str]) -> list[str]:
        """Return the command line that runs that command at a site (and becomes it: the process id is its own)."""
        return ["/usr/bin/env", "ip", "netns", "exec", self.namespaces[site], *command]

    def drop(self, site: str) -> None:
        """Drop every packet from and to a site, those of clients too."""
        self._add(site, (site, ("INPUT", "-i", _LINK)), (site, ("OUTPUT", "-o", _LINK)))

    def restore(self, site: str) -> None:
        """Let packets of that site through again."""
        self._remove(site)

    def cut(self, one: str, other: str) -> None:
        """Drop every packet between two sites; clients reach both of them."""
        rules = [(site, chain) for site, peer in ((one, other), (other, one)) for chain in self._chains(peer)]
        self._add(_pair(one, other), *rules)

    def join(self, one: str, other: str) -> None:
        """End the partition between two sites."""
        self._remove(_pair(one, other))

    def heal(self) -> None:
        """End all of it."""
        for name in list(self._rules):
            self._remove(name)

    def close(self) -> None:
        """Take namespaces, links and the bridge away."""
        for name in self.namespaces.values():
            run("ip", "netns", "del", name)
        run("ip", "link", "del", self._bridge)
        self._keeper.send_signal(signal.SIGKILL)
        self._keeper.wait()

    def _connect(self, site: str, outside: str) -> None:
        name = self.namespaces[site]
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", _LINK, "netns", name)
        run("ip", "link", "set", outside, "master", self._bridge, "up")
        run("ip", "-n", name, "addr", "add", f"{self.addresses[site]}/24", "dev", _LINK)
        run("ip", "-n", name, "link", "set", _LINK, "up")

    def _chains(self, peer: str) -> list[tuple[str, ...]]:
        return [("INPUT", "-s", self.addresses[peer]), ("OUTPUT", "-d", self.addresses[peer])]

    def _add(self, fault: str, *rules: tuple[str, tuple[str, ...]]) -> None:
        assert fault not in self._rules, f"{fault} is cut already"
        self._rules[fault] = list(rules)
        for site, rule in rules:
            self._change(site, "-A", rule)

    def _remove(self, fault: str) -> None:
        for site, rule in self._rules.pop(fault):
            self._change(site, "-D", rule)

    def _change(self, site: str, change: str, rule: tuple[str, ...]) -> None:
        run("ip", "netns", "exec", self.namespaces[site], "iptables", "-w", change, *rule, "-j", "DROP")


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Let this thread make its sockets in a namespace; no other thread notices."""
    library = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
    try:
        assert library.setns(there, _CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}"
        try:
            yield
        finally:
            assert library.setns(own, _CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(own)
        os.close(there)


def _pair(one: str, other: str) -> str:
    return "-".join(sorted((one, other)))
