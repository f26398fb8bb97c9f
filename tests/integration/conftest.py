"""Clusters of real processes: one shared by the harmless tests, others of their own for those that break things."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The harness is plain modules beside the tests; pytest's import mode leaves the path alone.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parent.parent / "live"))

from cluster import Cluster

LOOPS = ["asyncio", "uvloop"]


@pytest.fixture(scope="session", params=LOOPS)
def event_loop_name(request: pytest.FixtureRequest) -> str:
    """The kind of event loop that daemons and clients run on."""
    return str(request.param)


@pytest.fixture(scope="session")
def shared(event_loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes and a proxy that all tests of the session use; nobody may harm them."""
    cluster = Cluster(tmp_path_factory.mktemp(f"shared-{event_loop_name}"), event_loop_name)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def make_cluster(tmp_path: Path, event_loop_name: str) -> Iterator[Callable[..., Cluster]]:
    """Make clusters that belong to one test alone."""
    made: list[Cluster] = []

    def make(nodes: int = 3, *, started: bool = True) -> Cluster:
        folder = tmp_path / f"cluster-{len(made)}"
        folder.mkdir()
        cluster = Cluster(folder, event_loop_name, nodes)
        made.append(cluster)
        if started:
            cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.stop()
