"""The studies of whole daemons with keys: a script of the system tests measures them, since it has their cluster."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from bench.native import tools
from bench.study import Context, Row

SCRIPT: Final = Path(__file__).resolve().parent.parent / "tests" / "system" / "real_costs.py"


class OutsideError(Exception):
    """The text is for the user."""


def measure(context: Context) -> list[Row]:
    """Return the rows of the studies `node` and `start`."""
    own = tools(tls=True)
    if not own.extended:
        return []
    plan = ["--rounds", str(context.plan.rounds), "--seconds", str(context.plan.seconds)]
    done = subprocess.run([sys.executable, str(SCRIPT), *own.load, *plan], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OutsideError(f"{SCRIPT.name} failed: {done.stderr.strip()[-500:]}")
    rows: list[Row] = json.loads(done.stdout)
    return rows
