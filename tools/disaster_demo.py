"""What `make demo-disaster` does: two data centres are lost, the DR site takes over, and all comes back.

Everything is real: killed processes, members of etcd, signatures that openssl checks. A client is connected all
along and never restarted. The exit code is 0 only if every step held.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from disaster_steps import DR_SITE, SITES, STEPS, Play
from lasting_client import LastingClient
from run_demo import end_like_ctrl_c, launch, stop
from run_steps import DemoError

START_DEADLINE_S: Final = 120.0


def main() -> int:
    """Play it and return the exit code."""
    parser = argparse.ArgumentParser(prog="make demo-disaster", description="Lose two data centres, and come back.")
    parser.add_argument("--dir", type=Path, help="folder of the cluster (default: a new one, removed at the end)")
    options = parser.parse_args()
    end_like_ctrl_c()
    began = time.monotonic()
    folder = options.dir.absolute() if options.dir else Path(tempfile.mkdtemp(prefix="redoubt-disaster-"))
    cluster = None
    try:
        print(f"Two data centres in which keys are used, {' and '.join(SITES)}, and one that stands by, {DR_SITE}:")
        print(f"five HSM nodes, three proxies, three members of the store, all in {folder}")
        cluster = launch(folder, ["--store", "etcd"], START_DEADLINE_S)
        with LastingClient(folder / "client.toml") as client:
            print(f"Ready after {time.monotonic() - began:.1f} s. A client has all three proxies in its list. It signs")
            print("five times a second with a key of its own, and is never restarted.")
            play(Play(folder, client))
    except DemoError as failure:
        print(f"\nThis did not work: {failure}\nLogs are in {folder / 'logs'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping the cluster.", flush=True)
        return 1
    finally:
        if cluster is not None:
            stop(cluster)
    if not options.dir:
        shutil.rmtree(folder)
    print(f"\nEvery step held. That took {time.monotonic() - began:.0f} s; the cluster is stopped.")
    return 0


def play(what: Play) -> None:
    """Do every step; the first that fails ends it."""
    for number, step in enumerate(STEPS, 1):
        print(f"\n{number}. {step.title}", flush=True)
        began = time.monotonic()
        step.run(what)
        print(f"    ({time.monotonic() - began:.1f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
