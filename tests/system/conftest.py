"""The table of faults, with real nodes and the real command line. Not part of `make test`."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The harnesses are plain modules. Appended, not inserted: other folders' modules keep their names.
_HERE = Path(__file__).parent
_FOLDERS = ("integration", "faults", "live", "docs", "deploy")
sys.path += [str(folder) for folder in (_HERE, *(_HERE.parent / name for name in _FOLDERS))]

from bench_process import hsmctl  # noqa: E402 - found through the lines above
from cluster import Cluster  # noqa: E402
from networks import Links, isolate  # noqa: E402
from process_table import end_all_of  # noqa: E402
from stand import Stand  # noqa: E402
from store_stand import StoreStand  # noqa: E402

KEY = "load"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here is heavier than `make test` may be."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.system)


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    """Make a cluster on uvloop, started, with a P-256 key labelled `load`; it ends with the test.

    `dropping` is the number of paths to node-1 that the test wants to cut; they are in `cluster.links` then.
    """
    made: list[Cluster] = []
    all_links: list[Links] = []

    def make(*, dropping: int = 0, **options: object) -> Cluster:
        cluster = Cluster(tmp_path, "uvloop", **options)  # type: ignore[arg-type]  # passed on as they are
        made.append(cluster)
        if dropping:
            all_links.append(isolate(cluster, 0, dropping))
        cluster.start()
        hsmctl(cluster.client_config, "key", "generate", "--type", "ec-p256", "--label", KEY)
        return cluster

    make.links = all_links  # type: ignore[attr-defined]  # handed to tests through the fixture below
    yield make
    for cluster in made:
        cluster.stop()
        end_all_of(cluster.folder)
    for links in all_links:
        links.close()


@pytest.fixture
def links(make_cluster: Callable[..., Cluster]) -> list[Links]:
    """The links of nodes that were made with `dropping`."""
    found: list[Links] = make_cluster.links  # type: ignore[attr-defined]
    return found


@pytest.fixture
def make_stand(tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """Make a stand of fake nodes behind a real proxy on uvloop; it ends with the test."""
    made: list[Stand] = []

    def make(**options: object) -> Stand:
        stand = Stand(tmp_path, "uvloop", **options)  # type: ignore[arg-type]  # passed on as they are
        made.append(stand)
        return stand.start()

    yield make
    for stand in made:
        stand.stop()


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[StoreStand]:
    """Data centres that serve."""
    made = StoreStand(tmp_path)
    try:
        yield made
    finally:
        made.close()
