"""Two partitions on one node without chance, time or threads."""

import asyncio
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The world is plain modules beside the tests; pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))

from partition_world import World, without_chance


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    """One event loop for all worlds of the module."""
    with asyncio.Runner() as opened:
        yield opened


@pytest.fixture
def make_world(
    node_folder: Path, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], World]]:
    """Make nodes that know nothing of each other, each with a store of its own."""
    without_chance(monkeypatch)
    with (node_folder / "node.toml").open("a") as file:
        file.write("\n[limits]\npadding_decryptions_burst = 1\ncounting_s = 10\n")
    numbers = itertools.count()
    opened: list[World] = []

    def make() -> World:
        while opened:  # A property has hundreds of them, one after the other but for those that it compares.
            if len(opened) < 4:
                break
            opened.pop(0).close()
        opened.append(World(runner, node_folder, node_folder / f"store-{next(numbers)}.db"))
        return opened[-1]

    yield make
    for world in opened:
        world.close()
