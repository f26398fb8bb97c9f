"""One call over several members."""

import time

import grpc
import pytest
from fake_links import NO_LEADER, TOO_LATE, FakeLink, FakeRpcError

from hsm_node.store.base import HaltedStoreError, ReplacedStoreError, StoreError, UnreachableStoreError
from hsm_node.store.etcd.calls import RETIRED_S, TRY_S, Calls, CompactedError
from hsm_node.store.etcd.messages_pb2 import Header, RangeRequest, TxnRequest

SHORT_S = 0.2


@pytest.fixture
def links() -> list[FakeLink]:
    return [FakeLink(1), FakeLink(2), FakeLink(3)]


@pytest.fixture
def calls(links: list[FakeLink]) -> Calls:
    return Calls(links)  # type: ignore[arg-type]  # fakes


def test_the_preferred_member_is_asked_and_looked_at_once(calls: Calls, links: list[FakeLink]) -> None:
    for _ in range(3):
        assert calls.range(RangeRequest()).header.revision == 10
    assert links[0].asked == ["status", "range", "range", "range"]
    assert links[1].asked == links[2].asked == []
    assert max(links[0].timeouts) <= TRY_S


def test_the_next_member_answers_where_one_does_not_and_is_asked_first_from_then_on(
    calls: Calls, links: list[FakeLink]
) -> None:
    links[0].failing = TOO_LATE
    assert calls.txn(TxnRequest()).succeeded
    assert links[1].asked == ["status", "txn"]
    calls.txn(TxnRequest())
    assert links[0].asked == ["status", "txn"]


def test_where_no_member_has_a_leader_nothing_was_done(calls: Calls, links: list[FakeLink]) -> None:
    for link in links:
        link.failing = NO_LEADER
    with pytest.raises(UnreachableStoreError, match="nothing was done .*no leader"):
        calls.txn(TxnRequest(), SHORT_S)
    assert all(link.asked.count("txn") > 1 for link in links), "each is tried again while there is time"


def test_one_try_that_was_not_answered_leaves_a_doubt(calls: Calls, links: list[FakeLink]) -> None:
    links[0].failing = TOO_LATE
    links[1].failing = links[2].failing = NO_LEADER
    with pytest.raises(StoreError, match="whether it was done is open") as caught:
        calls.txn(TxnRequest(), SHORT_S)
    assert not isinstance(caught.value, UnreachableStoreError)


def test_a_member_that_does_not_say_who_it_is_has_done_nothing(calls: Calls, links: list[FakeLink]) -> None:
    for link in links:
        link.failing_status = TOO_LATE
    with pytest.raises(UnreachableStoreError):
        calls.txn(TxnRequest(), SHORT_S)
    assert all("txn" not in link.asked for link in links)


@pytest.mark.parametrize("version", ["3.4.23", "3.5.29", "3.5.9", "3.5", "odd", ""])
def test_an_older_member_is_not_used(calls: Calls, links: list[FakeLink], version: str) -> None:
    links[0].version = version
    calls.range(RangeRequest())
    assert (links[0].asked, links[1].asked) == (["status"], ["status", "range"])
    for link in links:
        link.version = version
        calls.failed(link)  # type: ignore[arg-type]  # a fake
    with pytest.raises(UnreachableStoreError, match=r"runs etcd .*; upgrade it to 3\.5\.30 or newer"):
        calls.range(RangeRequest(), SHORT_S)


@pytest.mark.parametrize("version", ["3.5.30", "3.5.31+git", "3.6.0-rc.1", "4.0.0"])
def test_a_newer_member_is_used(calls: Calls, links: list[FakeLink], version: str) -> None:
    links[0].version = version
    calls.range(RangeRequest())
    assert links[0].asked == ["status", "range"]


def test_a_member_of_another_cluster_is_not_asked_to_change_anything(calls: Calls, links: list[FakeLink]) -> None:
    calls.txn(TxnRequest())
    links[0].failing = NO_LEADER
    links[1].header.cluster_id = 8
    calls.txn(TxnRequest())
    assert (links[1].asked, links[2].asked) == (["status"], ["status", "txn"])


def test_an_older_state_in_the_stores_place_is_an_error_of_its_own(calls: Calls, links: list[FakeLink]) -> None:
    calls.range(RangeRequest())
    links[0].header = Header(cluster_id=7, revision=9)
    with pytest.raises(ReplacedStoreError, match="older state"):
        calls.range(RangeRequest())


def test_what_every_member_would_say_is_said_at_once(calls: Calls, links: list[FakeLink]) -> None:
    links[0].failing = FakeRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
    with pytest.raises(HaltedStoreError, match="alarm disarm"):
        calls.txn(TxnRequest())
    assert links[1].asked == []
    assert not calls.waits(links[0]), "nothing is wrong with the member, and a watch over it goes on"  # type: ignore[arg-type]  # a fake


def test_what_one_member_may_have_done_is_in_doubt_whatever_the_next_one_says(
    calls: Calls, links: list[FakeLink]
) -> None:
    links[0].failing = TOO_LATE
    links[1].failing = FakeRpcError(grpc.StatusCode.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded")
    with pytest.raises(StoreError, match="whether it was done is open") as caught:
        calls.txn(TxnRequest())
    assert not isinstance(caught.value, UnreachableStoreError)


def test_a_compacted_revision_is_told_apart(calls: Calls, links: list[FakeLink]) -> None:
    text = "etcdserver: mvcc: required revision has been compacted"
    links[0].failing = FakeRpcError(grpc.StatusCode.OUT_OF_RANGE, text)
    with pytest.raises(CompactedError):
        calls.range(RangeRequest())


def test_a_closed_store_asks_nobody(calls: Calls, links: list[FakeLink]) -> None:
    calls.range(RangeRequest())
    links[0].close()
    with pytest.raises(StoreError, match="closed"):
        calls.range(RangeRequest())
    calls.close()
    assert all(link.closed for link in links)
    with pytest.raises(StoreError, match="closed"):
        calls.range(RangeRequest())


def test_other_links_are_used_at_once_and_the_old_ones_closed_when_nobody_can_use_them_any_more(
    calls: Calls, links: list[FakeLink], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls.range(RangeRequest())
    new = [FakeLink(1), FakeLink(2), FakeLink(3)]
    calls.renew(new)  # type: ignore[arg-type]  # fakes
    calls.range(RangeRequest())
    assert new[0].asked == ["status", "range"]
    calls.sweep()
    assert not any(link.closed for link in links)
    monkeypatch.setattr("hsm_node.store.etcd.calls.clock.monotonic", lambda: time.monotonic() + RETIRED_S)
    calls.sweep()
    assert all(link.closed for link in links)
    calls.close()
    assert all(link.closed for link in new)


def test_other_members_are_used_from_then_on_and_who_was_out_before_still_waits(
    calls: Calls, links: list[FakeLink]
) -> None:
    links[0].failing = NO_LEADER
    calls.range(RangeRequest())
    new = [FakeLink(1), FakeLink(4)]
    calls.renew(new)  # type: ignore[arg-type]  # fakes
    assert [link.address.port for link in calls.order()] == [4, 1]
    calls.range(RangeRequest())
    assert (new[0].asked, new[1].asked) == ([], ["status", "range"])
    # Whoever was under way over a link that is no more has nothing to say about the others.
    calls.failed(links[2])  # type: ignore[arg-type]  # a fake
    calls.worked(links[0])  # type: ignore[arg-type]  # a fake
    assert [link.address.port for link in calls.order()] == [4, 1]
    assert calls.waits(links[2])  # type: ignore[arg-type]  # a fake
    assert not calls.waits(new[1])  # type: ignore[arg-type]  # a fake


def test_what_fails_says_that_this_nodes_own_certificate_has_expired(calls: Calls, links: list[FakeLink]) -> None:
    for link in links:
        link.failing_status = TOO_LATE
    calls.expired = lambda: "it has expired"
    with pytest.raises(UnreachableStoreError, match=r"it has expired \(no answer in time\)"):
        calls.range(RangeRequest(), SHORT_S)
