"""Stores of both drivers, for the tests of what a store promises."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

# The harnesses are plain modules. Appended, not inserted: other folders' modules keep their names.
_TESTS = Path(__file__).parent.parent.parent
sys.path += [str(_TESTS / "integration"), str(_TESTS / "live")]

from etcd import EtcdCluster  # noqa: E402 - found through the line above

from hsm_cluster.address import Address  # noqa: E402
from hsm_node.core.keyring import Keyring  # noqa: E402
from hsm_node.store.base import Store  # noqa: E402
from hsm_node.store.etcd.driver import EtcdStore  # noqa: E402
from hsm_node.store.sqlite import SqliteStore  # noqa: E402

OpenStore = Callable[..., Store]


@pytest.fixture(scope="session")
def running_etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdCluster]:
    """One member for all tests of the session."""
    cluster = EtcdCluster(tmp_path_factory.mktemp("etcd"))
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def etcd(running_etcd: EtcdCluster) -> EtcdCluster:
    """A member with nothing in it."""
    running_etcd.empty()
    return running_etcd


@pytest.fixture
def open_etcd(etcd: EtcdCluster, keyring: Keyring) -> Iterator[Callable[..., EtcdStore]]:
    """What opens the same store in etcd again and again; all are closed at the end."""
    made: list[EtcdStore] = []

    def open_store(
        ring: Keyring | None = None, cluster: str = "dev", *, addresses: Sequence[Address] = (), **more: Any
    ) -> EtcdStore:
        made.append(EtcdStore([*etcd.addresses, *addresses], etcd.tls, cluster, ring or keyring, **more))
        return made[-1]

    yield open_store
    for store in made:
        store.close()


@pytest.fixture(params=["sqlite", "etcd"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path, keyring: Keyring) -> Iterator[OpenStore]:
    """What opens the same store again and again, as several nodes do; all are closed at the end."""
    made: list[Store] = []

    def open_sqlite(ring: Keyring | None = None, cluster: str = "dev") -> Store:
        made.append(SqliteStore(tmp_path / "store.db", cluster, ring or keyring))
        return made[-1]

    yield open_sqlite if request.param == "sqlite" else request.getfixturevalue("open_etcd")
    for store in made:
        store.close()
