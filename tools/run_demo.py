"""What `make run` does: a cluster on this machine, and what it is good for, shown by real commands.

Every step runs `hsmctl` or `openssl` as a user would. With --once everything is stopped at the end and the exit
code says whether all was well; without it the cluster stays up until Ctrl-C.
"""

import argparse
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from run_steps import STEPS, DemoError, Runner, python_path, requests_per_node

START_DEADLINE_S: Final = 90.0
"""`hsmctl dev` gives up after 60 s, and says why."""
TOKENS_DEADLINE_S: Final = 300.0
"""More for tokens that are still to be made: three RSA keys of 3,072 bits are."""
STOP_DEADLINE_S: Final = 20.0
POLL_INTERVAL_S: Final = 0.1
KEYS_ARE: Final = {
    "software": "Keys you make now exist only inside the nodes.",
    "softhsm": "Each node has a token of SoftHSM2, and keys you make now are used in these alone.",
}
# PR_SET_PDEATHSIG survives exec: `hsmctl dev` gets SIGTERM when this script ends, however that was.
END_WITH_PARENT: Final = """\
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def main() -> int:
    """Run the demonstration and return the exit code."""
    parser = argparse.ArgumentParser(prog="make run", description="Start a cluster and show what it does.")
    parser.add_argument("--once", action="store_true", help="stop everything at the end; exit 0 if all was well")
    parser.add_argument("--dir", default="redoubt-dev", help="folder of the cluster (default: ./redoubt-dev)")
    parser.add_argument(
        "--backend",
        choices=["software", "softhsm"],
        default="software",
        help="where keys are: in the nodes, or in a token of SoftHSM2 for each node",
    )
    options = parser.parse_args()
    end_like_ctrl_c()
    folder = Path(options.dir).absolute()
    cluster = None
    try:
        cluster = start(folder, options.backend)
        demonstrate(folder)
        if options.once:
            print("\nAll was well. Stopping the cluster.")
        else:
            stay(folder, cluster)
    except DemoError as failure:
        print(f"\nThis did not work: {failure}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        with contextlib.suppress(OSError):  # The terminal may be what went away.
            print("\nStopping the cluster.", flush=True)
        return 1 if options.once else 0
    except OSError as failure:
        # Whoever read what we print has left, or a file could not be written.
        with contextlib.suppress(OSError):
            print(f"\nThis did not work: {failure}", file=sys.stderr)
        return 1
    finally:
        if cluster is not None:
            stop(cluster)
    return 0


def end_like_ctrl_c() -> None:
    """Let SIGTERM and the end of the terminal stop us as Ctrl-C does, so that the cluster is stopped in order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # A shell may have started us with it ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, signal.default_int_handler)


def start(folder: Path, backend: str) -> subprocess.Popen[bytes]:
    """Start `hsmctl dev` and wait until it says that all is ready."""
    print(f"Starting a cluster on this machine: three HSM nodes and a proxy, in {folder}")
    began = time.monotonic()
    deadline_s = START_DEADLINE_S + (TOKENS_DEADLINE_S if backend == "softhsm" else 0.0)
    cluster = launch(folder, ["--backend", backend], deadline_s)
    print(f"Ready after {time.monotonic() - began:.1f} s. {KEYS_ARE[backend]}")
    return cluster


def launch(folder: Path, options: Sequence[str], deadline_s: float) -> subprocess.Popen[bytes]:
    """Start `hsmctl dev` with these options, and return it when all of its daemons serve."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as said:
        before = written_at(folder)
        cluster = subprocess.Popen(
            [*bound_to_us(), sys.executable, "-m", "hsmctl.cli", "dev", "--dir", str(folder), *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,  # Ctrl-C reaches this script, which then stops the cluster in order.
            env={**os.environ, "PYTHONPATH": python_path()},
        )
        try:
            while written_at(folder) in (0, before):
                if cluster.poll() is not None:
                    said.seek(0)
                    raise DemoError(said.read().decode(errors="replace").strip() or "hsmctl dev ended without a word")
                if time.monotonic() - began > deadline_s:
                    raise DemoError(f"the cluster was not ready after {deadline_s:.0f} s; see {folder}/logs")
                time.sleep(POLL_INTERVAL_S)
        except BaseException:
            stop(cluster)
            raise
    return cluster


def bound_to_us() -> list[str]:
    """Return what to put before a command so that its process gets SIGTERM when this script ends, even by kill -9."""
    return [sys.executable, "-I", "-S", "-c", END_WITH_PARENT, str(os.getpid())]


def written_at(folder: Path) -> int:
    """Return when dev.json was written, 0 while there is none."""
    try:
        return (folder / "dev.json").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def demonstrate(folder: Path) -> None:
    """Run every step; the first that fails ends it."""
    work = folder / "demo"
    work.mkdir(exist_ok=True)
    runner = Runner(work, folder / "client.toml")
    for step in STEPS:
        print(f"\n{step.title}")
        step.run(runner)
    print("\nRequests that each node served (every request goes to a random node):")
    for name, count in requests_per_node(runner).items():
        print(f"  {name}  {count}")


def stay(folder: Path, cluster: subprocess.Popen[bytes]) -> None:
    """Say where the cluster is and wait for Ctrl-C."""
    runner = Runner(folder / "demo", folder / "client.toml")
    hsmctl = Path(sys.executable).with_name("hsmctl")
    program = shlex.quote(os.path.relpath(hsmctl)) if hsmctl.exists() else "hsmctl"
    print("\nThe cluster stays up:")
    for kind, name, address, admin in runner.addresses(folder):
        page = f"status page http://{admin}/" if kind == "proxy" else f"metrics http://{admin}/metrics"
        print(f"  {kind:<5} {name:<8} {address:<16} {page}")
    print(f"What was made is in {folder / 'demo'}")
    print("Type this next, in another terminal:")
    print(f"  export HSM_CLIENT_CONFIG={shlex.quote(str(folder / 'client.toml'))}")
    print(f"  {program} status")
    print("Ctrl-C stops everything.", flush=True)
    if cluster.wait() != 0:
        raise DemoError(f"the cluster ended by itself; see the logs in {folder}/logs")


def stop(cluster: subprocess.Popen[bytes]) -> None:
    """Stop the cluster, whatever state it is in."""
    # Another signal must not leave anything running: from here on we only wait.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if cluster.poll() is None:
        cluster.terminate()
    try:
        cluster.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        cluster.kill()  # Its daemons die with it: the kernel sees to that.
        cluster.wait()


if __name__ == "__main__":
    sys.exit(main())
