"""Runs seeds of the simulation: `python tests/simulation/run_simulation.py --seeds 0-10000 --jobs 2`.

Prints schedules and simulated requests a second, the statuses that clients saw, and each seed that failed.
`--forever` goes on until it is told to stop; `--log` writes the events of a single seed.
"""

import argparse
import itertools
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from sim_engine import ViolationError
from sim_run import Simulation, simulate

from hsm_wire.statuses import maybe_status

BATCH = 20
REPORT_S = 30.0


def run_batch(seeds: list[int]) -> tuple[int, int, Counter[int], list[str]]:
    """Run some seeds; return how many, their requests, the statuses, and the failures."""
    requests = 0
    statuses: Counter[int] = Counter()
    failures = []
    for seed in seeds:
        try:
            outcome = simulate(seed)
        except ViolationError as violation:
            failures.append(str(violation))
        else:
            requests += outcome.requests
            statuses.update(outcome.statuses)
    return len(seeds), requests, statuses, failures


def replay(seed: int) -> int:
    """Run one seed with its log."""
    simulation = Simulation(seed, keep_log=True)
    try:
        simulation.run()
    except Exception:  # noqa: BLE001 - whatever it was, the log comes first
        print("\n".join(simulation.engine.log or []))
        traceback.print_exc()
        return 1
    print("\n".join(simulation.engine.log or []))
    return 0


def _batches(first: int, last: float) -> Iterator[list[int]]:
    for start in itertools.count(first, BATCH):
        seeds = [seed for seed in range(start, start + BATCH) if seed < last]
        if not seeds:
            return
        yield seeds


class Total:
    """The sum of all batches."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.schedules = 0
        self.requests = 0
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []

    def add(self, batch: tuple[int, int, Counter[int], list[str]]) -> None:
        """Count a batch; print its failures."""
        self.schedules += batch[0]
        self.requests += batch[1]
        self.statuses.update(batch[2])
        for failure in batch[3]:
            print(failure, flush=True)
        self.failures += batch[3]

    def report(self) -> None:
        """Print the figures so far."""
        elapsed = time.monotonic() - self.began
        names = {number: maybe_status(number) for number in self.statuses}
        told = ", ".join(
            f"{status.name if status is not None else number} {self.statuses[number]}"
            for number, status in sorted(names.items())
        )
        print(
            f"{self.schedules} schedules, {len(self.failures)} failed, {self.requests} requests in {elapsed:.1f} s: "
            f"{self.schedules / elapsed:.1f} schedules/s, {self.requests / elapsed * 60:.0f} requests/minute\n{told}",
            flush=True,
        )


def run(first: int, last: float, jobs: int) -> Total:
    """Run a range of seeds on some processes."""
    total = Total()
    reported = time.monotonic()
    batches = _batches(first, last)
    with ProcessPoolExecutor(jobs) as pool:
        running = [pool.submit(run_batch, seeds) for seeds in itertools.islice(batches, jobs * 2)]
        while running:
            total.add(running.pop(0).result())
            running += [pool.submit(run_batch, seeds) for seeds in itertools.islice(batches, 1)]
            if time.monotonic() - reported > REPORT_S:
                reported = time.monotonic()
                total.report()
    return total


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="0-300", help="FIRST-LAST (LAST not included), or one seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--log", action="store_true", help="write the events of a single seed")
    parser.add_argument("--forever", action="store_true", help="go on beyond the last seed")
    arguments = parser.parse_args()
    first, dash, last = arguments.seeds.partition("-")
    if arguments.log:
        return replay(int(first))
    end = float("inf") if arguments.forever else int(last) if dash else int(first) + 1
    try:
        total = run(int(first), end, arguments.jobs)
    except KeyboardInterrupt:
        return 130
    total.report()
    return 1 if total.failures else 0


if __name__ == "__main__":
    sys.exit(main())
