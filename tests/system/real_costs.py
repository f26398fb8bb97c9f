"""What a node's work costs beside a bare loop over `cryptography`, and how soon node and proxy are ready: real daemons.

`python tests/system/real_costs.py LOAD` prints a list of rows as JSON; LOAD is the load generator of `bench`. It is run
by `make bench`. One node and one proxy on loopback, with mutual TLS on both hops, and 1,000 keys in the store.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    _HERE = Path(__file__).resolve().parent
    sys.path += [str(_HERE), *(str(_HERE.parent / name) for name in ("integration", "faults", "live"))]

from certificates import Identity
from cluster import Cluster
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from many_records import fill_file
from process_table import processor_s
from programs import START_DEADLINE_S, Program, get

from hsm_client import sync
from hsm_wire.statuses import Status
from hsmctl.bench.requests import prepare

KEYS: Final = 1000
READY_LOOK_S: Final = 0.005
MESSAGE: Final = bytes(32)
KIB: Final = bytes(1024)
CONNECTIONS: Final = 4
IN_FLIGHT: Final = 64
"""On each connection: enough to keep the node busy, and to let it take several from one read."""
OVERLOADED: Final = f"0x{int(Status.OVERLOADED):04x}"
BLOCK: Final = 32
"""Operations of the bare loop between two looks at the clock."""


def bare(operation: Callable[[], object], seconds: float) -> float:
    """Return how often an operation runs in a second of CPU time, in a loop and nothing else."""
    count = 0
    began = time.process_time()
    while (used := time.process_time() - began) < seconds:
        for _ in range(BLOCK):
            operation()
        count += BLOCK
    return count / used


def operations() -> list[tuple[str, str, str, bytes, Callable[[], object]]]:
    """Return name, key type, mechanism, data, and the same with `cryptography` alone."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    cipher = AESGCM(os.urandom(32))
    pkcs1, sha256, ecdsa = padding.PKCS1v15(), hashes.SHA256(), ec.ECDSA(hashes.SHA256())
    return [
        ("RSA-2048 signature", "rsa-2048", "rsa-pkcs1-sha256", MESSAGE, lambda: rsa_key.sign(MESSAGE, pkcs1, sha256)),
        ("P-256 signature", "ec-p256", "ecdsa-sha256", MESSAGE, lambda: ec_key.sign(MESSAGE, ecdsa)),
        ("AES-GCM of 1 KiB", "aes-256", "aes-gcm", KIB, lambda: cipher.encrypt(os.urandom(12), KIB, b"")),
    ]


class RealCosts:
    """One node, one proxy."""

    def __init__(self, folder: Path, load: str, rounds: int, seconds: float) -> None:
        self._folder = folder
        self._load = load
        self._rounds = rounds
        self._seconds = seconds
        self.cluster = Cluster(folder, "uvloop", nodes=1)
        fill_file(self.cluster, KEYS, "ec-p256", "key-{}")
        self._credentials(self.cluster.app)

    def starts(self) -> list[dict[str, Any]]:
        """Return how soon node and proxy are ready; both run at the end."""
        rows = []
        for name, program in (("node", self.cluster.nodes[0]), ("proxy", self.cluster.proxy)):
            taken = []
            for _ in range(self._rounds):
                program.terminate()
                taken.append(_start(program))
            clock_s, cpu_s = (round(statistics.median(column), 3) for column in zip(*taken, strict=True))
            rows.append({"study": "start", "program": name, "keys": KEYS, "clock_s": clock_s, "cpu_s": cpu_s})
        return rows

    def work(self) -> list[dict[str, Any]]:
        """Return operations for each second of the node's CPU time, beside those of a bare loop."""
        self.cluster.wait_in_rotation()
        rows = []
        with sync.connect(self.cluster.client_config) as hsm:
            for name, key_type, mechanism, data, operation in operations():
                key_id = hsm.generate_key(key_type, label=name).id
                key_bytes = bytes.fromhex(key_id) if isinstance(key_id, str) else key_id
                command = self._command(prepare(key_bytes, mechanism, len(data)))
                pairs = [(self._through(command), bare(operation, self._seconds / 2)) for _ in range(self._rounds)]
                node, alone = (round(statistics.median(column)) for column in zip(*pairs, strict=True))
                share = round(statistics.median(through / by_itself for through, by_itself in pairs), 3)
                rows.append(
                    {
                        "study": "node",
                        "operation": name,
                        "node_per_cpu_s": node,
                        "bare_per_cpu_s": alone,
                        "share": share,
                    }
                )
        return rows

    def _command(self, prepared: Any) -> list[str]:
        body = self._folder / "body"
        body.write_bytes(prepared.body)
        load = [self._load, "--port", str(self.cluster.proxy.port), "--tls", str(self._folder / "load")]
        load += ["--connections", str(CONNECTIONS), "--in-flight", str(IN_FLIGHT)]
        return [*load, "--opcode", str(int(prepared.opcode)), "--body", str(body)]

    def _through(self, command: list[str]) -> float:
        """Run load; return requests for each second of the node's CPU time."""
        pid = self.cluster.nodes[0].pid
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
            assert load.stdin is not None
            assert load.stdout is not None
            assert load.stdout.readline() == "connected\n", "the load could not connect"
            before = processor_s(pid)
            load.stdin.write(f"measure {self._seconds}\n")
            load.stdin.flush()
            result = json.loads(load.stdout.readline())
            used = processor_s(pid) - before
            load.stdin.close()
        # Where the machine gives the node no time for a while, what waits for it is refused, and costs it nothing.
        assert set(result["errors_by_status"]) <= {OVERLOADED}, f"errors of the load: {result['errors_by_status']}"
        return float(result["requests"] - result["errors"]) / used

    def _credentials(self, identity: Identity) -> None:
        """Put the client's files where the load looks for them."""
        folder = self._folder / "load"
        folder.mkdir()
        for name, path in (("ca", identity.ca), ("client", identity.certificate), ("client-key", identity.key)):
            (folder / f"{name}.pem").symlink_to(path)


def _start(program: Program) -> tuple[float, float]:
    """Start it; return seconds of the clock and of the processor until it is ready."""
    began = time.monotonic()
    program.start()
    while get(program.admin_port, "/readyz")[0] != 200:
        assert time.monotonic() < began + START_DEADLINE_S, program.log()[-2000:]
        time.sleep(READY_LOOK_S)
    return time.monotonic() - began, processor_s(program.pid)


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="redoubt-costs-") as name:
        costs = RealCosts(Path(name), options.load, options.rounds, options.seconds)
        try:
            print(json.dumps([*costs.starts(), *costs.work()]))
        finally:
            costs.cluster.stop()


if __name__ == "__main__":
    main()
