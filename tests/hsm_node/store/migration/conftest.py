"""A store of a few rows in a file, and what moves it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from etcd import EtcdCluster

from hsm_node.core.keyring import Keyring
from hsm_node.store.migration.source import Source
from hsm_node.store.migration.target import Target
from hsm_node.store.sqlite import SqliteStore

CLUSTER = "dev"


@pytest.fixture
def path(tmp_path: Path, keyring: Keyring) -> Path:
    """Five rows, of which the first was changed ten times."""
    place = tmp_path / "store.db"
    with contextlib.closing(SqliteStore(place, CLUSTER, keyring)) as store:
        rows = [store.create(number.to_bytes(32, "big"), b"row %d" % number) for number in range(5)]
        first = rows[0]
        for number in range(10):
            first = store.change(first.name, first.revision, b"change %d" % number) or first
    return place


@pytest.fixture
def open_source(path: Path) -> Iterator[Callable[..., Source]]:
    """What locks the file."""
    with contextlib.ExitStack() as opened:
        yield lambda cluster=CLUSTER: opened.enter_context(contextlib.closing(Source(path, cluster)))


@pytest.fixture
def target(etcd: EtcdCluster) -> Iterator[Target]:
    """An empty etcd."""
    with contextlib.closing(Target(etcd.addresses, etcd.tls)) as made:
        yield made
