"""Mixed operations under mixed faults for as long as wanted: `make soak SECONDS=3600`.

Three nodes and two proxies as real processes, 200 clients. Every answer is checked, keys are counted at the end,
memory and open files of each process are compared. Prints a report; exit status 1 on any violation. Ctrl-C or
SIGTERM ends it early, with the report. The seed of the faults is printed; `--seed` takes it again.
"""

import argparse
import asyncio
import importlib.util
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
sys.path += [str(folder) for folder in (_HERE, *(_HERE.parent / name for name in ("integration", "faults")))]

from cluster import Cluster  # noqa: E402 - found through the lines above
from networks import Links, isolate  # noqa: E402
from process_table import end_all_of  # noqa: E402
from programs import bound_to_parent  # noqa: E402
from soak_client import SharedKeys, SoakClient, check_keys  # noqa: E402
from soak_faults import BACK_S, CALM_S, FaultMaker  # noqa: E402
from soak_record import Record  # noqa: E402
from soak_usage import SETTLED_S, UsageWatch  # noqa: E402

from hsm_client import connect  # noqa: E402

CLIENTS = 200
START_SPREAD_S = 5.0
END_S = 60.0
"""For the last calls of all clients after the end was said; their own time-out is 20 s."""
GONE_S = 3.0
"""For the daemons to notice that clients have gone, before open files are counted."""
PROGRESS_S = 30.0


def main() -> int:
    """Read the command line, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--simulation", action="store_true", help="run the simulation and the fuzzers beside it")
    parser.add_argument("--keep", action="store_true", help="leave the folder with configuration and logs")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="redoubt-soak-"))
    print(f"soak: {arguments.seconds:g} s, {arguments.clients} clients, seed {arguments.seed}, in {folder}", flush=True)
    cluster = Cluster(folder, "uvloop", proxies=2, lifetime=timedelta(seconds=arguments.seconds) + timedelta(hours=2))
    companions: list[Companion] = companions_of(arguments.seconds, folder) if arguments.simulation else []
    record = Record()
    links = isolate(cluster, len(cluster.nodes) - 1, paths=1)
    try:
        cluster.start()
        for companion in companions:
            companion.start()
        soak(cluster, links, record, arguments)
    finally:
        cluster.stop()
        links.close()
        end_all_of(folder)
        for companion in companions:
            companion.stop(record)
    report(record, arguments.seed)
    if record.violation_count:
        print(f"the logs are in {folder}")
    elif not arguments.keep:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    return 1 if record.violation_count else 0


def soak(cluster: Cluster, links: Links, record: Record, arguments: argparse.Namespace) -> None:
    """Run clients and faults for that long, then look at keys and processes."""
    watch = UsageWatch(cluster)
    faults = FaultMaker(cluster, links, arguments.seed, record.violation)
    last_calm_s = arguments.seconds - CALM_S - 2 * BACK_S
    if last_calm_s >= SETTLED_S + CALM_S:
        faults.calm([SETTLED_S, last_calm_s], watch.weigh)
    watch.start()
    faults.start()
    try:
        asyncio.run(clients_of(cluster, record, arguments))
    finally:
        faults.stop()
        watch.stop()
    try:
        cluster.wait_in_rotation()
    except AssertionError as error:
        record.violation(str(error)[:300])
    asyncio.run(check_keys(cluster.client_config, record))
    time.sleep(GONE_S)
    print("\nprocesses")
    for wrong in watch.judge():
        record.violation(wrong)
    print(f"faults    {', '.join(f'{count} {name}' for name, count in sorted(faults.done.items()))}")


async def clients_of(cluster: Cluster, record: Record, arguments: argparse.Namespace) -> None:
    """Run all clients until the time is over or a signal comes."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(arguments.seconds, stop.set)
    async with connect(cluster.client_config, timeout_s=20.0) as hsm:
        signing = await hsm.generate_key("ec-p256", label="shared-signing")
        secret = await hsm.generate_key("aes-256", label="shared-secret")
    record.alive.add(signing.id)
    keys = SharedKeys(signing.id, secret.id)
    chance = random.Random(arguments.seed)
    clients = [
        SoakClient(number, cluster.client_config, keys, record, random.Random(chance.random()))
        for number in range(arguments.clients)
    ]

    async def run(client: SoakClient) -> None:
        await asyncio.sleep(START_SPREAD_S * client.number / len(clients))
        try:
            await client.run(stop)
        except Exception as error:  # noqa: BLE001 - a client that ends is a violation like any other
            record.violation(f"client {client.number} ended: {error!r}")

    running = [asyncio.ensure_future(run(client)) for client in clients]
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), PROGRESS_S)
        except TimeoutError:
            elapsed = time.monotonic() - record.began
            print(f"{elapsed:8.0f} s  {record.requests} calls, {record.violation_count} violations", flush=True)
    _, late = await asyncio.wait(running, timeout=END_S)
    if late:
        record.violation(f"{len(late)} clients did not end within {END_S:g} s")
        for task in late:
            task.cancel()


class Companion:
    """Something that runs beside the soak at low priority; its own failure is a violation."""

    def __init__(self, name: str, folder: Path, *command: str) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        self._command = ["nice", "-n", "15", sys.executable, *command]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin."""
        nice = ["/usr/bin/env", *self._command]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                bound_to_parent(nice, signal.SIGTERM), cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def stop(self, record: Record) -> None:
        """End it as Ctrl-C would, and take over what it found."""
        process = self._process
        if process is None:
            return
        ended = process.poll()
        if ended is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        lines = self._log.read_text(errors="replace").splitlines()
        print(f"{self.name}\n  " + "\n  ".join(lines[-4:]))
        if ended not in (None, 0):
            record.violation(f"{self.name} ended with {ended}: {' '.join(lines[-2:])}")
        failed = [line for line in lines if " failed, " in line and " 0 failed, " not in line]
        if failed:
            record.violation(f"{self.name}: {failed[-1]}")


def companions_of(seconds: float, folder: Path) -> list[Companion]:
    """Return the simulation, and the fuzzers where atheris is installed."""
    found = [
        Companion(
            "simulation", folder, "tests/simulation/run_simulation.py", "--seeds", "100000", "--forever", "--jobs", "1"
        )
    ]
    if importlib.util.find_spec("atheris") is not None:
        found.append(Companion("fuzzers", folder, "tests/fuzz/run.py", "--seconds", f"{seconds:.0f}"))
    else:
        print("soak: no fuzzers: atheris is not installed (the dependency group fuzz of pyproject.toml)")
    return found


def report(record: Record, seed: int) -> None:
    """Print figures and violations."""
    elapsed = time.monotonic() - record.began
    print(f"calls     {record.requests} in {elapsed:.0f} s, {record.requests / elapsed:.0f} a second, seed {seed}")
    for what, times in sorted(record.times.items()):
        print(
            f"  {what:26} {times.buckets.total():8}  p50 {times.percentile_s(0.5) * 1000:8.1f} ms  "
            f"p99 {times.percentile_s(0.99) * 1000:8.1f} ms  max {times.slowest_s * 1000:8.1f} ms"
        )
    print(f"keys      {len(record.alive)} alive, {len(record.destroyed)} destroyed, {len(record.doubtful)} in doubt")
    print(f"violations {record.violation_count}")
    for line in record.violations:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
