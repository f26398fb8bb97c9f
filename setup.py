"""What pyproject.toml cannot say: with REDOUBT_COMPILED=1 the way of a request is compiled (docs/adr/0022).

`make compiled` builds it. Without the variable this file adds nothing, and no compiler is needed.
"""

import os
from pathlib import Path

from setuptools import setup

LIST = Path(__file__).parent / "tools" / "compiled_modules.txt"


def modules() -> list[str]:
    """Return the files that are compiled, as one group: calls between them are calls of C."""
    return [line for line in LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def extensions() -> list[object]:
    """Return the extension modules, none unless they are asked for."""
    if os.environ.get("REDOUBT_COMPILED") != "1":
        return []
    from mypyc.build import mypycify  # of the development environment only

    return list(mypycify(modules(), opt_level="3", debug_level="0", group_name="redoubt"))


setup(ext_modules=extensions())
