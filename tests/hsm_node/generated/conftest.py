"""One node for all generated requests of a run: they harm nothing, and say so when they do."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# The generators are plain modules beside the tests; pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))

from desk import NODE_LIMITS, Desk


@pytest.fixture(scope="session")
def desk(node_in: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A node, and somebody who asks it."""
    with asyncio.Runner() as runner:
        folder = tmp_path_factory.mktemp("generated")

        async def start() -> Any:
            return node_in(folder, NODE_LIMITS)

        node = runner.run(start())
        try:
            yield Desk(runner, node)
        finally:
            runner.run(node.stop())


@pytest.fixture(autouse=True)
def nothing_fails_inside(desk: Desk) -> Iterator[None]:
    """Whatever is asked, it is refused by a rule and not by an accident."""
    yield
    assert desk.internal_errors == 0, "the node failed inside: see its log above"
