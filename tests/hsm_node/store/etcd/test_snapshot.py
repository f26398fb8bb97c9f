from typing import Any, cast

import pytest

from hsm_node.store.base import StoreError
from hsm_node.store.etcd.calls import Calls, CompactedError
from hsm_node.store.etcd.messages_pb2 import Header, KeyValue, RangeRequest, RangeResponse
from hsm_node.store.etcd.snapshot import PAGE_ROWS, EtcdSnapshot
from hsm_node.store.etcd.transactions import key_of


class FakeCalls:
    """Answers with these pages, and keeps what it was asked."""

    def __init__(self, *pages: Any) -> None:
        self.pages = list(pages)
        self.asked: list[RangeRequest] = []

    def range(self, request: RangeRequest, within_s: float) -> RangeResponse:
        assert within_s == 5.0
        self.asked.append(request)
        answer = self.pages.pop(0)
        if isinstance(answer, Exception):
            raise answer
        assert isinstance(answer, RangeResponse)
        return answer


def page(*names: bytes, more: bool = False, revision: int = 7) -> RangeResponse:
    pairs = [KeyValue(key=key_of(name), value=b"data", mod_revision=3) for name in names]
    return RangeResponse(header=Header(revision=revision), kvs=pairs, more=more)


def test_pages_are_all_asked_for_at_the_revision_of_the_first() -> None:
    calls = FakeCalls(page(b"a", b"b", more=True), page(b"c", revision=9))
    snapshot = EtcdSnapshot(cast("Calls", calls))
    assert [row.name for row in snapshot.read()] == [b"a", b"b"]
    assert [row.name for row in snapshot.read()] == [b"c"]
    assert snapshot.read() == []
    assert snapshot.revision == 7
    assert [request.revision for request in calls.asked] == [0, 7]
    assert calls.asked[1].key == key_of(b"b") + b"\0"
    assert {request.limit for request in calls.asked} == {PAGE_ROWS}
    snapshot.close()


def test_what_was_compacted_meanwhile_is_said() -> None:
    calls = FakeCalls(page(b"a", more=True), CompactedError("required revision has been compacted"))
    snapshot = EtcdSnapshot(cast("Calls", calls))
    snapshot.read()
    with pytest.raises(StoreError, match="compacted; begin anew"):
        snapshot.read()
