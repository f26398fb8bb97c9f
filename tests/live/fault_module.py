"""The fault module: a PKCS#11 module in C around SoftHSM2, whose bad days a test writes into its script.

What a script says: `tests/fault_module/fault_module.c`. Without a C compiler the tests fail, and say so.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from softhsm import MODULE

SOURCE: Final = Path(__file__).parents[1] / "fault_module" / "fault_module.c"
COMPILER: Final = "cc"


class FaultModule:
    """A copy of the module for one node, and its script."""

    def __init__(self, folder: Path, name: str) -> None:
        """Compile it."""
        assert shutil.which(COMPILER), (
            "faults of devices are NOT TESTED: there is no C compiler; install gcc, libc6-dev"
        )
        self.path = folder / f"{name}.so"
        self._script = folder / f"{name}.so.script"
        options = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", f'-DREAL_MODULE="{MODULE}"']
        command = [COMPILER, *options, "-o", str(self.path), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, timeout=120)

    def say(self, *lines: str) -> None:
        """Have the module behave like that from the next call on."""
        new = self._script.with_suffix(".new")
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(self._script)

    def clear(self) -> None:
        """Have it behave."""
        self._script.unlink(missing_ok=True)

    def calls(self, function: str) -> int:
        """Return how many calls of a function a line of the scripts has concerned."""
        counted = Path(f"{self.path}.calls.{function}")
        return counted.stat().st_size if counted.exists() else 0
