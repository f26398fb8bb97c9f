"""A fake node as a program: `python fake_node.py --name node-1 --cluster test --tls off`.

It prints one line of JSON with its addresses, then obeys its control port (a line of JSON each way):

    {"command": "arm", "faults": [{"action": "latency", "match": {"on": "SIGN", "every": 10}, "times": 0, ...}]}
    {"command": "set", "window": 1, "administrative_state": "drain"}       {"command": "clear"}
    {"command": "listen", "state": "open|refuse|black-hole|unaccepted"}    {"command": "cut"}
    {"command": "restart", "down_ms": 500}     {"command": "goaway"}
    {"command": "seen"}                        {"command": "log", "after": 0}         {"command": "quit"}

The actions are the table of `node_actions`; the settings are `faulty_node.Settings`.
Import `faulty_node.FaultyNode` for the same inside a test, or `fault_processes.NodeProcess` to start this program.
"""

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from fault_control import ControlServer, end_with_parent, parse_address, run_until_told
from faulty_node import FaultyNode

MAX_LOG_ENTRIES = 2000  # in one answer to `log`: the asker pages on; the journal file has everything


def tls_context(folder: Path, name: str) -> ssl.SSLContext:
    """Return a server's context from ca.pem, NAME.pem and NAME-key.pem."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(folder / "ca.pem")
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}-key.pem")
    return context


class NodeCommands:
    """What the control port offers."""

    def __init__(self, node: FaultyNode) -> None:
        self._node = node
        self.table: dict[str, Callable[..., Any]] = {
            "arm": self._arm,
            "set": node.set,
            "clear": node.clear,
            "listen": self._listen,
            "cut": node.cut,
            "goaway": node.go_away,
            "restart": node.restart,
            "seen": self._seen,
            "log": self._log,
        }

    def _arm(self, faults: list[dict[str, Any]]) -> None:
        self._node.arm(*faults)

    def _listen(self, state: str) -> None:
        self._node.listener.switch(state)

    def _seen(self) -> dict[str, Any]:
        record = self._node.journal.record
        return {
            "boot_id": record.boot_id,
            "completed": self._node.completed,
            "in_flight": self._node.in_flight,
            "faults": len(self._node.faults),
            "connections": sorted(self._node.connections),
            "peers": {number: each.peer for number, each in record.meetings.items()},
            "executions": len(record.executions),
            "breaches": [each.detail for each in record.breaches],
            "identities": record.identities,
            "listener": self._node.listener.state,
        }

    def _log(self, after: int = 0) -> Any:
        return msgspec.to_builtins(self._node.journal.record.executions[after : after + MAX_LOG_ENTRIES])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="A node that speaks the real protocol and fails as it is told.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="HOST:PORT for proxies; port 0: any")
    parser.add_argument("--control", default="127.0.0.1:0", help="HOST:PORT of the control port")
    parser.add_argument("--tls", default="off", help="folder with ca.pem, NAME.pem, NAME-key.pem; or off")
    parser.add_argument("--name", default="node-1")
    parser.add_argument("--cluster", default="test")
    parser.add_argument("--journal", type=Path, help="file that gets each event as it happens")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    host, port = parse_address(arguments.listen)
    tls = None if arguments.tls == "off" else tls_context(Path(arguments.tls), arguments.name)
    node = FaultyNode(
        arguments.name,
        arguments.cluster,
        host=host,
        port=port,
        tls=tls,
        journal=arguments.journal,
        seed=arguments.seed,
        is_process=True,
    )
    control = ControlServer(NodeCommands(node).table)
    await control.start(*parse_address(arguments.control))
    await node.start()
    await run_until_told(control, node.address)
    await node.stop()


def main() -> int:
    """Run until told to quit."""
    end_with_parent()
    try:
        asyncio.run(_run(_arguments()))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"fake_node: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
