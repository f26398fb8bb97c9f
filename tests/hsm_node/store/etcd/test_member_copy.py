"""The own member is asked for what it has, the others for what there is."""

from collections.abc import Callable
from typing import Any

import grpc
import pytest
from etcd import EtcdCluster
from fake_links import NO_LEADER, FakeLink, FakeRpcError

from hsm_node.core.keyring import Keyring
from hsm_node.store.base import StoreError
from hsm_node.store.check_record import ClusterRow, make_check_record
from hsm_node.store.etcd import member_copy
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.driver import EtcdStore
from hsm_node.store.etcd.member_copy import MemberCopy
from hsm_node.store.etcd.messages_pb2 import Header, KeyValue, RangeResponse
from hsm_node.store.etcd.opening import encoded

OURS = bytes(16)
OpenStore = Callable[..., EtcdStore]


class Member(FakeLink):
    """Says what it has, and keeps what it was asked."""

    def __init__(self, port: int, revision: int, *pairs: KeyValue) -> None:
        super().__init__(port)
        self.header = Header(cluster_id=7, revision=revision)
        self.pairs = pairs
        self.requests: list[Any] = []

    def range(self, request: Any, timeout: float, metadata: Any = None) -> RangeResponse:
        self.requests.append((request, metadata))
        return self._answer(
            "range", self.failing, lambda: RangeResponse(header=self.header, kvs=self.pairs, more=True), timeout
        )


def copy_of(*members: Member) -> MemberCopy:
    return MemberCopy(Calls(list(members)), OURS)  # type: ignore[arg-type]  # they answer as links do


def test_the_newest_revision_is_asked_of_the_others_and_the_own_one_of_its_member_alone() -> None:
    own, other = Member(1, 4), Member(2, 9)
    copy = copy_of(own, other)
    assert (copy.newest(), copy.revision()) == (9, 4)
    ((asked, leader),) = other.requests
    assert (asked.serializable, leader) == (False, (("hasleader", "true"),))
    ((asked, leader),) = own.requests
    assert (asked.serializable, leader) == (True, None), "it answers also where it is alone"


def test_the_member_at_the_dr_site_may_be_any_of_them() -> None:
    first, dr = Member(1, 9), Member(2, 4)
    copy = MemberCopy(Calls([first, dr]), OURS, dr.address)  # type: ignore[arg-type]  # they answer as links do
    assert (copy.newest(), copy.revision()) == (9, 4)


def test_a_reload_may_name_the_members_in_another_order() -> None:
    gone, dr, other = Member(1, 9), Member(2, 4), Member(3, 9)
    calls = Calls([gone, dr])  # type: ignore[list-item]  # they answer as links do
    copy = MemberCopy(calls, OURS, dr.address)
    calls.renew([dr, other])  # type: ignore[list-item]
    assert (copy.newest(), copy.revision()) == (9, 4)


def test_without_the_others_the_own_member_is_asked_and_says_that_it_is_alone() -> None:
    own, other = Member(1, 4), Member(2, 9)
    other.failing = NO_LEADER
    assert copy_of(own, other).newest() == 4
    own.failing = NO_LEADER
    with pytest.raises(StoreError, match="no leader"):
        copy_of(own, other).newest()


def test_a_page_is_read_as_of_one_revision_behind_a_name() -> None:
    own = Member(1, 4, KeyValue(key=b"redoubt/row/b", mod_revision=3, value=b"data"))
    copy = copy_of(own)
    page = copy.page(b"", 0)
    assert (page.revision, page.more, page.rows[0].name, page.rows[0].data) == (4, True, b"b", b"data")
    assert copy.page(b"b", 2).revision == 2
    assert (own.requests[1][0].key, own.requests[1][0].revision) == (b"redoubt/row/b\x00", 2)


def test_who_reads_for_longer_than_old_states_are_kept_goes_on_with_what_is_there_now() -> None:
    class Compacted(Member):
        def range(self, request: Any, timeout: float, metadata: Any = None) -> RangeResponse:
            if 0 < request.revision < 4:
                raise FakeRpcError(grpc.StatusCode.OUT_OF_RANGE, "required revision has been compacted")
            return super().range(request, timeout, metadata)

    own = Compacted(1, 4, KeyValue(key=b"redoubt/row/b", mod_revision=3, value=b"data"))
    page = copy_of(own).page(b"a", 2)
    assert (page.revision, [row.name for row in page.rows]) == (4, [b"b"])
    assert (own.requests[0][0].key, own.requests[0][0].revision) == (b"redoubt/row/a\x00", 0)


def test_the_copy_is_read_to_its_end_though_its_first_state_is_compacted_meanwhile(
    etcd: EtcdCluster, open_etcd: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_copy, "PAGE_ROWS", 2)
    store = open_etcd()
    rows = [store.create(number.to_bytes(32, "big"), b"1") for number in range(5)]
    page = store.copy.page(b"", 0)
    changed = [store.change(row.name, row.revision, b"2") for row in rows]
    etcd.ctl("compact", str(store.copy.newest()))
    seen, first = [row.name for row in page.rows], page.revision
    while page.more:
        page = store.copy.page(page.rows[-1].name, first)
        assert page.rows[0] in changed
        seen += [row.name for row in page.rows]
    assert seen == [row.name for row in rows]


def test_a_member_that_is_out_of_another_cluster_or_closed_is_told() -> None:
    own = Member(1, 4)
    copy = copy_of(own)
    assert copy.revision() == 4
    own.header = Header(cluster_id=8, revision=4)
    with pytest.raises(StoreError, match="belongs to etcd cluster"):
        copy.revision()
    own.closed = True
    with pytest.raises(StoreError, match="closed"):
        copy.page(b"", 0)


def test_the_master_key_of_the_copy_is_told_by_its_check_record(keyring: Keyring, other_keyring: Keyring) -> None:
    def check(cluster_id: bytes) -> KeyValue:
        return KeyValue(value=encoded(make_check_record(ClusterRow(cluster_id, "dev", 1), keyring), keyring))

    copy = copy_of(Member(1, 4, check(OURS)))
    assert (copy.master_key_version(keyring), copy.master_key_version(other_keyring)) == (1, 0)
    with pytest.raises(StoreError, match="no check record"):
        copy_of(Member(1, 4)).master_key_version(keyring)
    with pytest.raises(StoreError, match="another store"):
        copy_of(Member(1, 4, check(b"x" * 16))).master_key_version(keyring)
