"""Searches the models of docs/consistency.md with spin: no state may break a property, and each mutant has to.

    python model/check.py            all of them, as a table; exit 1 where one is not as it should be
    python model/check.py leases     those whose name has this word
    python model/check.py --trail leases/NOBODY_IS_NAMED     the shortest way to what goes wrong, step by step

Every search is exhaustive: breadth first, all states kept, no hashing that could lose one.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parent
MODELS: Final = (
    ("keys", ""),
    ("changes", ""),
    ("leases", ""),
    ("leases", "MARKS"),
    ("leases", "REMOVAL"),
    ("leases", "PROXIES"),
    ("epochs", ""),
    ("epochs", "LIVING"),
    ("promotions", ""),
    ("returns", ""),
)
"""File, and the switch that makes a variant of it."""
MEMORY_MB: Final = 4000
"""That one search may take: what a developer's machine has. The largest takes a tenth of it."""
TIMEOUT_S: Final = 600.0
"""For one search, on a machine that is busy with something else."""
_MUTANT: Final = re.compile(r"^#if(?:n?def )?.*?\bMUTANT_(\w+)", re.MULTILINE)
_FLAGS: Final = ("-O2", "-w", "-DSAFETY", "-DNOREDUCE", "-DBFS", f"-DMEMLIM={MEMORY_MB}")


class CheckError(Exception):
    """A search could not be made; one line."""


@dataclass(frozen=True)
class Case:
    """One model with its switches, and what is expected of it."""

    model: str
    variant: str = ""
    mutant: str = ""

    @property
    def name(self) -> str:
        """How it is called in the table."""
        return "/".join(part for part in (self.model, self.variant, self.mutant) if part)

    @property
    def switches(self) -> list[str]:
        """What spin's preprocessor is given."""
        mutant = [f"-DMUTANT_{self.mutant}"] if self.mutant else []
        return [*([f"-D{self.variant}"] if self.variant else []), *mutant]


@dataclass(frozen=True)
class Outcome:
    """What a search found."""

    case: Case
    states: int
    depth: int
    megabytes: float
    seconds: float
    broken: str
    """The assertion that does not hold; empty: all do."""

    @property
    def right(self) -> bool:
        """Whether it is as it should be: a mutant is caught, and nothing else is."""
        return bool(self.broken) is bool(self.case.mutant)

    @property
    def verdict(self) -> str:
        """For people."""
        if self.case.mutant:
            return "caught" if self.broken else "NOT CAUGHT"
        return f"BROKEN: {self.broken}" if self.broken else "holds"


def cases() -> Iterator[Case]:
    """Yield the models, each followed by its mutants, in the variant whose rule they break."""
    for model, variant in MODELS:
        yield Case(model, variant)
        for mutant in mutants(model):
            if _variant_of(model, mutant) == variant:
                yield Case(model, variant, mutant)


def mutants(model: str) -> list[str]:
    """Return the names of the rules that a model can be without, in the order of its text."""
    return list(dict.fromkeys(_MUTANT.findall((FOLDER / f"{model}.pml").read_text(encoding="utf-8"))))


def search(case: Case) -> Outcome:
    """Look at every state of a model."""
    with tempfile.TemporaryDirectory(prefix="redoubt-model-") as name:
        _build(case, Path(name))
        report = _run(["./pan"], Path(name))
    found = re.search(r"^pan:1: (.*) \(at depth", report, re.MULTILINE)
    states = re.search(r"^ *(\d+) states, stored", report, re.MULTILINE)
    depth = re.search(r"depth reached (\d+)", report)
    memory = re.search(r"^ *([\d.]+)\ttotal actual memory usage", report, re.MULTILINE)
    elapsed = re.search(r"elapsed time ([\d.]+) seconds", report)
    if states is None or depth is None or ("Search not completed" in report and found is None):
        raise CheckError(f"{case.name}: spin did not come to an end: {report.strip()[-300:]}")
    return Outcome(
        case,
        int(states[1]),
        int(depth[1]),
        float(memory[1]) if memory else 0.0,
        float(elapsed[1]) if elapsed else 0.0,
        found[1] if found else "",
    )


def trail(case: Case) -> str:
    """Return the shortest way to what goes wrong, as spin tells it."""
    with tempfile.TemporaryDirectory(prefix="redoubt-model-") as name:
        folder = Path(name)
        _build(case, folder)
        _run(["./pan"], folder)
        return _run([_program("spin"), "-t", "-p", "-g", *case.switches, f"{case.model}.pml"], folder)


def table(outcomes: list[Outcome]) -> str:
    """Return the table."""
    rows = [("model", "states", "depth", "MB", "s", "verdict")]
    rows += [
        (o.case.name, f"{o.states:,}", str(o.depth), f"{o.megabytes:.0f}", f"{o.seconds:.1f}", o.verdict)
        for o in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(row[i].rjust(widths[i]) for i in range(1, 5)), row[5]]) for row in rows
    )


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="model/check.py", description="Search the models with spin.")
    parser.add_argument("word", nargs="?", default="", help="only models whose name has it")
    parser.add_argument("--trail", action="store_true", help="show the way to what goes wrong in that one")
    options = parser.parse_args(arguments)
    chosen = [case for case in cases() if options.word in case.name]
    if not chosen:
        print(f"no model's name has {options.word!r}: see the models in {FOLDER.name}/", file=sys.stderr)
        return 2
    try:
        if options.trail:
            print(trail(chosen[0]))
            return 0
        outcomes = [search(case) for case in chosen]
    except CheckError as error:
        print(error, file=sys.stderr)
        return 1
    print(table(outcomes))
    return 0 if all(outcome.right for outcome in outcomes) else 1


def _variant_of(model: str, mutant: str) -> str:
    """Return the variant whose rule a mutant breaks: that in which its name stands, else what the model says of it."""
    text = (FOLDER / f"{model}.pml").read_text(encoding="utf-8")
    for _, variant in MODELS:
        if variant and re.search(rf"^ \* -D{variant}\b[^\n]*(?:\n \*   [^\n]*)*\b{mutant}\b", text, re.MULTILINE):
            return variant
    return ""


def _build(case: Case, folder: Path) -> None:
    shutil.copy(FOLDER / f"{case.model}.pml", folder)
    said = _run([_program("spin"), "-a", *case.switches, f"{case.model}.pml"], folder)
    if not (folder / "pan.c").exists() or "Error" in said:
        raise CheckError(f"{case.name}: spin does not understand the model: {said.strip()[:300]}")
    said = _run([_program("cc"), *_FLAGS, "-o", "pan", "pan.c"], folder)
    if not (folder / "pan").exists():
        raise CheckError(f"{case.name}: the model's program does not compile: {said.strip()[:300]}")


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise CheckError(f"{name} is missing: install it with apt-get install spin gcc libc6-dev")
    return found


def _run(command: list[str], folder: Path) -> str:
    """Return what a program says. Its exit code means little: pan's is 0 where an assertion is broken."""
    try:
        done = subprocess.run(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise CheckError(f"{Path(command[0]).name} took more than {TIMEOUT_S:.0f} s") from None
    return done.stdout.decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main())
