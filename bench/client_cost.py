"""What a request costs an application: the client library, before nodes that answer at once.

`python -m bench.client_cost MODE PORT SECONDS` measures one way of using it and prints a line of JSON.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import hsm_client
from bench.native import tools
from bench.peers import echo_nodes
from bench.study import Context, Row, medians
from hsm_client import sync, sync_keys
from hsm_client.keys import Key
from hsm_wire.messages import KeyInfo, Policy, SignResult, encode_body
from hsm_wire.usages import Usage

KEY: Final = KeyInfo(bytes(16), "ec-p256", "bench", int(Usage.SIGN), True, 1, 0, "generated", b"", Policy())
"""Nobody is asked for it: the nodes have one answer only."""
DATA: Final = bytes(32)
SIGNATURE: Final = bytes(64)
MECHANISM: Final = "ecdsa-sha256"
MODES: Final = {"asyncio, 1 task": 1, "asyncio, 64 tasks": 64, "blocking": 1, "8 threads": 8, "64 threads": 64}
"""Ways of using the library, and how many requests are under way in each."""
FIGURES: Final = ("cpu_us_per_request", "throughput", "p99_ms")


def measure(context: Context) -> list[Row]:
    """Return µs of CPU time of the application's process for a request, in each way."""
    own = tools(tls=False)
    if not own.extended:
        return []
    folder = context.folder / "client"
    folder.mkdir()
    answer = folder / "answer"
    answer.write_bytes(encode_body(SignResult(SIGNATURE)))
    samples: dict[str, list[dict[str, float]]] = {mode: [] for mode in MODES}
    answering = own._replace(echo_node=(*own.echo_node, "--answer", str(answer)))
    with echo_nodes(answering, folder) as nodes:
        port = next(iter(nodes.ports.values()))
        for _ in range(context.plan.rounds):
            for mode, taken in samples.items():
                command = [sys.executable, "-m", "bench.client_cost", mode, str(port), str(context.plan.seconds)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                taken.append(json.loads(done.stdout))
    return [
        {"study": "client", "mode": mode, "rounds": len(taken)} | medians(taken, FIGURES)
        for mode, taken in samples.items()
    ]


class _Clock:
    """Latencies and CPU time of a run."""

    def __init__(self, seconds: float) -> None:
        self.took: list[float] = []
        self._cpu_s = time.process_time()
        self._began = time.monotonic()
        self.until = self._began + seconds

    def result(self) -> dict[str, float]:
        cpu_s = time.process_time() - self._cpu_s
        took = sorted(self.took)
        return {
            "cpu_us_per_request": cpu_s * 1e6 / len(took),
            "throughput": len(took) / (time.monotonic() - self._began),
            "p99_ms": took[int(len(took) * 0.99)] * 1000,
        }


async def _tasks(config: Any, count: int, seconds: float) -> dict[str, float]:
    async with hsm_client.connect(config) as hsm:
        key = Key(hsm, KEY)
        await key.sign(DATA, MECHANISM)
        clock = _Clock(seconds)

        async def ask() -> None:
            while (began := time.monotonic()) < clock.until:
                await key.sign(DATA, MECHANISM)
                clock.took.append(time.monotonic() - began)

        await asyncio.gather(*(ask() for _ in range(count)))
        return clock.result()


def _threads(config: Any, count: int, seconds: float) -> dict[str, float]:
    with sync.connect(config) as hsm:
        key = sync_keys.Key(hsm, KEY)
        key.sign(DATA, MECHANISM)
        clock = _Clock(seconds)

        def ask() -> None:
            while (began := time.monotonic()) < clock.until:
                key.sign(DATA, MECHANISM)
                clock.took.append(time.monotonic() - began)

        _side_by_side(ask, count)
        return clock.result()


def _side_by_side(ask: Callable[[], None], count: int) -> None:
    if count == 1:
        ask()
        return
    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> None:
    """Measure one way."""
    parser = argparse.ArgumentParser(prog="bench.client_cost", description=__doc__)
    parser.add_argument("mode", choices=list(MODES))
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    folder = Path(__file__).parent / "build"
    folder.mkdir(exist_ok=True)
    config = folder / f"client-{options.port}.toml"
    config.write_text(f'proxies = ["127.0.0.1:{options.port}"]\ntls = "off"\n')
    count = MODES[options.mode]
    with contextlib.suppress(FileNotFoundError):
        if options.mode.startswith("asyncio"):
            result = asyncio.run(_tasks(config, count, options.seconds))
        else:
            result = _threads(config, count, options.seconds)
        config.unlink()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
