"""Who asks the member at the DR site how far it is, and what its answers are taken for."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from etcd import EtcdCluster
from fake_links import TOO_LATE, FakeLink

from hsm_cluster.address import Address
from hsm_node.core import site_copy
from hsm_node.core.keyring import Keyring
from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import TRY_S, Calls
from hsm_node.store.etcd.copying import Copying
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.messages_pb2 import Header, RangeResponse

PATIENCE_S = 15.0
HERE, THERE = Address("127.0.0.1", 1), Address("127.0.0.1", 2)


class Site(FakeLink):
    """The member at the DR site."""

    def __init__(self) -> None:
        super().__init__(THERE.port)
        self.questions = threading.Semaphore(0)

    def range(self, request: Any, timeout: float) -> RangeResponse:  # type: ignore[override]  # no leader is needed
        assert request.serializable
        assert 0 < timeout <= TRY_S
        self.questions.release()
        return self._answer("range", self.failing, lambda: RangeResponse(header=self.header), timeout)


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def calls(site: Site) -> Calls:
    made = Calls([FakeLink(HERE.port), site])  # type: ignore[list-item]  # fakes
    made.identity.cluster_id = 7
    return made


@pytest.fixture
def copying(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Copying]:
    monkeypatch.setattr(site_copy, "DR_WAIT_S", 0.5)
    made = Copying(calls, THERE)
    made.start()
    yield made
    calls.close()
    made.close()


def asked(site: Site) -> None:
    """Wait until it is asked once more."""
    assert site.questions.acquire(timeout=PATIENCE_S)


def test_what_the_member_has_it_is_not_waited_for(copying: Copying, site: Site) -> None:
    assert copying.begin(10).result(PATIENCE_S)
    assert site.asked == ["range"]


def test_it_is_asked_until_it_has_what_was_written(copying: Copying, site: Site) -> None:
    future = copying.begin(11)
    asked(site)
    asked(site)
    assert not future.done()
    site.header.revision = 11
    assert future.result(PATIENCE_S)


def test_one_that_does_not_get_it_is_not_waited_for_until_it_is_back(copying: Copying, site: Site) -> None:
    assert not copying.begin(11).result(PATIENCE_S)
    site.failing = TOO_LATE
    asked(site)
    assert not copying.begin(12).result(0)  # At once: it would be a brake for every key.
    site.failing = None
    site.header.revision = 12
    while copying.begin(12).result(PATIENCE_S) is False:
        asked(site)
    site.header.revision = 13
    assert copying.begin(13).result(PATIENCE_S)


def test_the_revision_of_another_cluster_says_nothing(copying: Copying, site: Site) -> None:
    site.header = Header(cluster_id=8, revision=1_000)
    assert not copying.begin(11).result(PATIENCE_S)


def test_nobody_is_asked_while_nobody_waits(copying: Copying, site: Site) -> None:
    assert copying.begin(10).result(PATIENCE_S)
    asked(site)
    assert not site.questions.acquire(timeout=3 * site_copy.ASK_AGAIN_S)


def test_whoever_waits_at_the_end_is_told_nothing(copying: Copying, calls: Calls, site: Site) -> None:
    future = copying.begin(11)
    asked(site)
    calls.close()
    copying.close()
    with pytest.raises(StoreError, match="has closed"):
        future.result(0)
    with pytest.raises(StoreError, match="has closed"):
        copying.begin(11)


def test_where_no_member_is_at_a_dr_site_nobody_can_wait_for_it(calls: Calls) -> None:
    none = Copying(calls, None)
    none.start()
    with pytest.raises(StoreError, match="no member at the DR site"):
        none.begin(1)
    none.close()


def test_a_real_member_shows_what_it_has(
    etcd: EtcdCluster, keyring: Keyring, open_etcd: Callable[..., EtcdStore]
) -> None:
    store = EtcdStore(etcd.addresses, etcd.tls, "dev", keyring, recovery=etcd.addresses[0])
    try:
        assert store.copied(store.create(b"n" * 32, b"1").revision).result(PATIENCE_S)
        assert open_etcd().read(b"n" * 32) is not None
    finally:
        store.close()
