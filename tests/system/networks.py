"""A node behind links of its own that can be made to drop every packet, without a reset.

As root, where `ip` and `iptables` are there: a network namespace with one veth pair a path, and DROP rules in it.
Elsewhere: relays that swallow everything. Both drop in both directions, and both leave the machine as it was.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Protocol

from cluster import Cluster
from fault_processes import RelayProcess
from programs import Program, bound_to_parent, wait_until

COMMAND_S = 10.0
_NETWORK = 213
"""10.213.x.y: the test's own addresses."""


class Links(Protocol):
    """The paths to one node."""

    def drop(self, path: int) -> None:
        """Drop all packets of a path from now on."""

    def restore(self, path: int) -> None:
        """Let them through again."""

    def close(self) -> None:
        """Leave nothing behind."""


def namespaces_work() -> bool:
    """Return whether this user can make namespaces and rules here (a container may forbid it to root)."""
    if os.geteuid() != 0 or not (shutil.which("ip") and shutil.which("iptables")):
        return False
    probe = f"redoubt-{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", probe], capture_output=True, timeout=COMMAND_S, check=False)
    if made.returncode != 0:
        return False
    rules = subprocess.run(
        ["ip", "netns", "exec", probe, "iptables", "-L", "-n"], capture_output=True, timeout=COMMAND_S, check=False
    )
    subprocess.run(["ip", "netns", "del", probe], capture_output=True, timeout=COMMAND_S, check=False)
    return rules.returncode == 0


def isolate(cluster: Cluster, index: int, paths: int) -> Links:
    """Put a node of a cluster that has not been started behind links of its own."""
    node = cluster.nodes[index]
    if namespaces_work():
        links = NamespaceLinks(paths)
        cluster.nodes[index] = NamespacedProgram(node, links.name)
        cluster.write_node(node, listen=f'"0.0.0.0:{node.port}"')
        cluster.write_topology({node.name: [f"{address}:{node.port}" for address in links.addresses]})
        return links
    relays = RelayLinks(cluster.folder, f"127.0.0.1:{node.port}", paths)
    cluster.write_topology({node.name: relays.addresses})
    return relays


class NamespacedProgram(Program):
    """A node inside a namespace. Its admin page, on loopback there, is out of reach: the log says when it is ready."""

    def __init__(self, node: Program, namespace: str) -> None:
        super().__init__(node.name, node.module, node.config, node.port, node.admin_port, node.event_loop)
        self._namespace = namespace
        self._starts = 0

    def start(self) -> None:
        """Start it."""
        super().start()
        self._starts += 1

    def command(self) -> list[str]:
        """Return the command line: `ip netns exec` becomes the program, so the process id is the node's."""
        ip = shutil.which("ip")
        assert ip is not None
        return [ip, "netns", "exec", self._namespace, *super().command()]

    def wait_ready(self) -> None:
        """Wait until it has said that it is ready, as often as it was started."""
        wait_until(
            lambda: (
                sum("event=ready" in line or "msg=ready" in line for line in self.log().splitlines()) >= self._starts
            ),
            lambda: f"{self.name} is ready; its log ends:\n{self.log()[-2000:]}",
        )


class NamespaceLinks:
    """A namespace with veth pairs."""

    def __init__(self, paths: int) -> None:
        self.name = f"redoubt-{secrets.token_hex(3)}"
        self.addresses: list[str] = []
        self._inside: list[str] = []
        run("ip", "netns", "add", self.name)
        self._keeper = keeper(["ip", "netns", "del", self.name])
        run("ip", "-n", self.name, "link", "set", "lo", "up")
        for path in range(paths):
            self._connect(path)

    def drop(self, path: int) -> None:
        """Drop what arrives at the node and what it sends, on that path."""
        self._rules("-A", path)

    def restore(self, path: int) -> None:
        """Let packets through again."""
        self._rules("-D", path)

    def close(self) -> None:
        """Remove the namespace and with it the links."""
        run("ip", "netns", "del", self.name)
        self._keeper.send_signal(signal.SIGKILL)
        self._keeper.wait()

    def _connect(self, path: int) -> None:
        suffix = self.name.removeprefix("redoubt-")
        outside, inside = f"rd{suffix}o{path}", f"rd{suffix}i{path}"
        block, offset = int(suffix[:2], 16), (int(suffix[2:4], 16) & 0x3C) + 64 * path
        ours, theirs = f"10.{_NETWORK}.{block}.{offset + 1}", f"10.{_NETWORK}.{block}.{offset + 2}"
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", self.name)
        run("ip", "addr", "add", f"{ours}/30", "dev", outside)
        run("ip", "link", "set", outside, "up")
        run("ip", "-n", self.name, "addr", "add", f"{theirs}/30", "dev", inside)
        run("ip", "-n", self.name, "link", "set", inside, "up")
        self.addresses.append(theirs)
        self._inside.append(inside)

    def _rules(self, change: str, path: int) -> None:
        prefix = ["ip", "netns", "exec", self.name, "iptables", "-w"]
        run(*prefix, change, "INPUT", "-i", self._inside[path], "-j", "DROP")
        run(*prefix, change, "OUTPUT", "-o", self._inside[path], "-j", "DROP")


class RelayLinks:
    """One relay a path."""

    def __init__(self, folder: Path, target: str, paths: int) -> None:
        self._relays = [RelayProcess(folder, target, f"path-{path}").start() for path in range(paths)]
        self.addresses = [relay.address for relay in self._relays]

    def drop(self, path: int) -> None:
        """Swallow everything, new connections too."""
        self._relays[path].call("black_hole", new="hang")

    def restore(self, path: int) -> None:
        """Pass everything on again."""
        self._relays[path].call("heal")

    def close(self) -> None:
        """End the relays."""
        for relay in self._relays:
            relay.close()


_KEEPER = (
    "import json, os, subprocess, sys, time\n"
    "while os.path.exists('/proc/' + sys.argv[1]): time.sleep(1)\n"
    "for command in json.loads(sys.argv[2]): subprocess.run(command, capture_output=True, check=False)\n"
)


def keeper(*commands: list[str]) -> "subprocess.Popen[bytes]":
    """Return a process that outlives the tests, however they end, and then takes away what they made."""
    return subprocess.Popen([sys.executable, "-c", _KEEPER, str(os.getpid()), json.dumps(commands)])


def run(*command: str) -> None:
    """Run a command of the system."""
    done = subprocess.run(bound_to_parent(_absolute(command), signal.SIGKILL), capture_output=True, timeout=COMMAND_S)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.decode()}"


def _absolute(command: tuple[str, ...]) -> list[str]:
    program = shutil.which(command[0])
    assert program is not None, f"{command[0]} is not installed"
    return [program, *command[1:]]
