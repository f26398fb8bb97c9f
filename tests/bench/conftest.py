"""What the tests of the benchmark share.

The benchmark is run from the repository's folder and not installed, so it is put on the path.
"""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bench.native import PYTHON, CompileError, Tools, compiled  # noqa: E402 - the path comes first

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def c_tools() -> Tools:
    """The tools in C, compiled now if they were not before."""
    try:
        return compiled()
    except CompileError as error:
        if "there is no C compiler" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(params=["c", "python"])
def tools(request: pytest.FixtureRequest) -> Tools:
    """The tools in either language: both keep the same promises."""
    return request.getfixturevalue("c_tools") if request.param == "c" else PYTHON


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts programs that talk over pipes, and ends them after the test."""
    with contextlib.ExitStack() as stack:

        def started(*command: str) -> subprocess.Popen[str]:
            process = stack.enter_context(
                subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
                )
            )
            stack.callback(process.kill)
            return process

        yield started
