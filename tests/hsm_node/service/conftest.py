"""Plain modules beside the tests are found; nodes that wait for the store as long as a busy machine may take."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def start_patient(start_node: Callable[..., Any]) -> Callable[[], Any]:
    """Start a node; all of a test share the file with their limits."""
    limits = ["counting_s = 10"]

    def start() -> Any:
        return start_node(limits.pop() if limits else "")

    return start
