"""A cluster of package economy on loopback: two sites and one for recovery, all daemons by a clock that is ahead."""

import sys
from typing import Final

from cluster import NAME, Cluster
from programs import Program

_CLOCK_AHEAD: Final = (
    "import runpy, sys, time; from hsm_daemon import clock; ahead = float(sys.argv.pop(1)); "
    "clock.now = lambda: time.time() + ahead; runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)
_SITES: Final = {"node-1": "zurich", "node-2": "geneva", "node-3": "alps", "proxy-1": "zurich", "proxy-2": "geneva"}
_TOPOLOGY: Final = f"""[cluster]
name = "{NAME}"
package = "economy"
[[sites]]
name = "zurich"
risk_zone = "CH-ZH"
latitude = 47.3769
longitude = 8.5417
uplinks = ["isp-a", "isp-b"]
[[sites]]
name = "geneva"
risk_zone = "CH-GE"
latitude = 46.2044
longitude = 6.1432
uplinks = ["isp-a", "isp-b"]
[[sites]]
name = "alps"
risk_zone = "CH-VS"
latitude = 46.2276
longitude = 7.3586
role = "disaster-recovery"
uplinks = ["isp-a", "isp-b"]
[[partitions]]
id = 1
name = "first"
clients = [{{ identity = "spiffe://{NAME}/client/app", roles = ["use", "manage"] }}]
"""


class AheadProgram(Program):
    """A daemon whose clock is ahead."""

    ahead_s = 0.0

    def command(self) -> list[str]:
        """Return the command line."""
        arguments = [str(self.ahead_s), self.module, "--config", str(self.config)]
        return [sys.executable, "-c", _CLOCK_AHEAD, *arguments]


class EconomyCluster(Cluster):
    """Two active nodes and one that stands by."""

    def site_of(self, program: Program) -> str:
        """Return the site that a daemon is at."""
        return _SITES[program.name]

    def states(self, proxy: Program | None = None) -> dict[str, str]:
        """Return the active nodes' states as a proxy sees them."""
        return {name: state for name, state in super().states(proxy).items() if _SITES[name] != "alps"}

    def write_topology(self, addresses: object = None) -> None:
        """Write cluster.toml."""
        nodes = "".join(
            f'[[nodes]]\nname = "{node.name}"\nsite = "{self.site_of(node)}"\n'
            f'paths = [{{ uplink = "isp-a", address = "{self.address_of(node)}" }}]\n'
            for node in self.nodes
        )
        (self.folder / "cluster.toml").write_text(_TOPOLOGY + nodes)

    def _program(self, name: str, module: str) -> Program:
        made = super()._program(name, module)
        return AheadProgram(made.name, made.module, made.config, made.port, made.admin_port, made.event_loop)
