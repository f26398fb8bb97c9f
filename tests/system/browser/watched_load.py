"""Load for as long as somebody looks: `hsmctl bench`, ended in the middle."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench_process import own_environment
from cluster import Cluster
from programs import bound_to_parent

KEY = "load"
LONGEST_S = 300


@contextmanager
def load(cluster: Cluster, *, rate: float, clients: int = 8, mechanism: str = "ecdsa-sha256") -> Iterator[None]:
    """Sign at that rate; what is refused is not tried again."""
    command = [sys.executable, "-m", "hsmctl.cli", "--config", str(cluster.client_config), "bench", "--key", KEY]
    command += ["--mechanism", mechanism, "--clients", str(clients), "--rate", f"{rate:g}", "--no-retry"]
    process = subprocess.Popen(
        bound_to_parent([*command, "--seconds", str(LONGEST_S)], signal.SIGKILL),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=own_environment(),
    )
    try:
        yield
        assert process.poll() is None, "the load ended before the test did"
    finally:
        process.kill()
        process.wait()
