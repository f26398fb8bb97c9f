"""A fake node as a process that the tests of a module share, and the raw client of the integration tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The harness is plain modules beside the tests. Appended, not inserted: other folders' modules keep their names.
sys.path += [str(Path(__file__).parent), str(Path(__file__).parent.parent / "integration")]

from fault_processes import NodeProcess
from raw import RawConnection


@pytest.fixture(scope="module")
def shared_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """One process for a module."""
    with NodeProcess(tmp_path_factory.mktemp("node"), seed=7) as started:
        yield started


@pytest.fixture
def node(shared_node: NodeProcess) -> Iterator[NodeProcess]:
    """The shared process, as new after each test."""
    yield shared_node
    shared_node.clear()
    shared_node.call("cut")


@pytest.fixture
def client(node: NodeProcess) -> Iterator[RawConnection]:
    """A connection to it that has said HELLO."""
    with RawConnection(node.port, None) as opened:
        opened.socket.settimeout(3)
        yield opened
