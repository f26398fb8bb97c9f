"""`make bench-check`: instructions that the proxy's process executes for a request, against the figure that is kept.

Valgrind counts them, so that neither other work on the machine nor its clock moves the figure; what the kernel does is
not in it. `bench/instructions.json` has a figure for each workload and each environment (interpreter, event loop,
processor): what another Python executes says nothing of our code. `--record` writes the figures of this one.
"""

import argparse
import contextlib
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bench.native import BUILD
from bench.processes import running
from bench.workloads import WORKLOADS, Workload, chosen

KEPT: Final = Path(__file__).parent / "instructions.json"
TOLERANCE: Final = 0.05
"""More than what is kept by this share is a regression. The same code differs by a tenth of that between two runs."""
REQUESTS: Final = 2048
"""In a measurement, at least."""
SIZE: Final = 128
MEASURED: Final = ("64-sync", "64x16", "4x256")
"""A thousand connections do nothing that 64 do not."""


class InstructionsError(Exception):
    """The text is one line for the user."""


def environment(compiled: Path | None = None) -> str:
    """Return what the figures depend on beside our code."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    build = ", compiled" if compiled else ""
    return f"{python}, uvloop {importlib.metadata.version('uvloop')}, {platform.machine()}{build}"


def rounds_of(workload: Workload) -> int:
    """Return how many rounds make enough requests."""
    return -(-REQUESTS // (workload.connections * workload.in_flight))


def _valgrind(out: Path, workload: Workload, compiled: Path | None) -> list[str]:
    valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={out}"]
    load = ["--connections", str(workload.connections), "--in-flight", str(workload.in_flight), "--size", str(SIZE)]
    # The folder goes in front of everything: it has all our packages, those that are compiled and the others.
    first = f"import sys; sys.path.insert(0, {str(compiled.resolve())!r}); " if compiled else ""
    return [*valgrind, sys.executable, "-c", f"{first}from bench.enclosed import main; main()", *load]


def _control(pid: int, *options: str) -> None:
    done = subprocess.run(["callgrind_control", *options, str(pid)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstructionsError(f"callgrind_control {' '.join(options)} failed: {done.stderr.strip()[-200:]}")


def total_of(dump: str) -> int:
    """Return the instructions that a dump of callgrind counts.

    Raises:
        InstructionsError: it counts none.
    """
    found = re.search(r"^totals: (\d+)$", dump, re.MULTILINE)
    if found is None or not int(found[1]):
        raise InstructionsError("callgrind counted nothing")
    return int(found[1])


@contextlib.contextmanager
def _counted(folder: Path, workload: Workload, compiled: Path | None) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run the enclosed proxy under callgrind until it is ready."""
    out = folder / f"{workload.name}.out"
    log = folder / f"{workload.name}.log"
    with running(_valgrind(out, workload, compiled), log, talk=True, environment={"PYTHONHASHSEED": "0"}) as process:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise InstructionsError(f"the proxy did not start under valgrind: {log.read_text().strip()[-300:]}")
        yield process, out


def measure(folder: Path, workload: Workload, keep: Path | None = None, compiled: Path | None = None) -> int:
    """Return the instructions for a request.

    Args:
        folder: for what is written meanwhile.
        workload: how many clients, with how many requests each.
        keep: where the profile goes, for callgrind_annotate.
        compiled: a folder with our packages compiled; None: those of this one.
    """
    rounds = rounds_of(workload)
    with _counted(folder, workload, compiled) as (process, out):
        assert process.stdin is not None
        assert process.stdout is not None
        _control(process.pid, "--instr=on")
        process.stdin.write(f"run {rounds}\n")
        process.stdin.flush()
        if process.stdout.readline() != "done\n":
            raise InstructionsError("the proxy ended while its instructions were counted")
        _control(process.pid, "--instr=off")
        _control(process.pid, "--dump")
        dump = out.with_name(f"{out.name}.1").read_text()
    if keep is not None:
        keep.write_text(dump)
    return round(total_of(dump) / (rounds * workload.connections * workload.in_flight))


def verdicts(figures: dict[str, int], kept: dict[str, int]) -> list[tuple[str, bool]]:
    """Return a line for each workload, and whether it is a regression."""
    lines = []
    for name, found in figures.items():
        before = kept.get(name)
        if before is None:
            lines.append((f"{name}: {found} instructions a request; no figure is kept, see --record", True))
            continue
        change = found / before - 1
        worse = change > TOLERANCE
        text = f"{name}: {found} instructions a request, {change:+.1%} of the {before} kept"
        if worse:
            text += f": above {TOLERANCE:.0%} is a regression; find its reason, or keep the new figure with --record"
        elif change < -TOLERANCE:
            text += ": keep the new figure with --record"
        lines.append((text, worse))
    return lines


def _kept(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = json.loads(path.read_text()) if path.exists() else {}
    return found


def record(figures: dict[str, int], where: str, path: Path = KEPT) -> None:
    """Keep the figures of that environment; others stay."""
    kept = _kept(path)
    kept[where] = kept.get(where, {}) | figures
    path.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def main() -> int:
    """Measure, and compare or record; 1 on a regression, 2 where nothing can be said."""
    parser = argparse.ArgumentParser(prog="make bench-check", description=__doc__)
    parser.add_argument("--record", action="store_true", help="keep what is measured now")
    parser.add_argument("--workload", action="append", choices=[each.name for each in WORKLOADS])
    parser.add_argument("--profile", action="store_true", help="leave callgrind's profiles in bench/build")
    parser.add_argument("--compiled", type=Path, help="a folder with our packages compiled, by make compiled")
    options = parser.parse_args()
    where = environment(options.compiled)
    figures = {}
    try:
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as name:
            for workload in chosen(options.workload or list(MEASURED)):
                keep = BUILD / f"callgrind.out.{workload.name}" if options.profile else None
                figures[workload.name] = measure(Path(name), workload, keep, options.compiled)
    except (InstructionsError, FileNotFoundError) as error:
        print(f"bench-check: {error}", file=sys.stderr)
        return 2
    if options.record:
        record(figures, where)
        for name, found in figures.items():
            print(f"{name}: {found} instructions a request, kept for {where}")
        return 0
    kept = _kept(KEPT)
    if where not in kept:
        known = "; ".join(sorted(kept)) or "none"
        print(f"bench-check: no figure is kept for {where} (kept: {known}); see --record", file=sys.stderr)
        return 2
    lines = verdicts(figures, kept[where])
    print("\n".join(text for text, _ in lines))
    return int(any(worse for _, worse in lines))


if __name__ == "__main__":
    sys.exit(main())
