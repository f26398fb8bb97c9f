import contextlib
from collections.abc import Iterator

import pytest
from etcd import EtcdCluster

from hsm_node.store.base import Row
from hsm_node.store.etcd.messages_pb2 import TxnRequest
from hsm_node.store.etcd.transactions import CHECK_KEY, ROW_PREFIX
from hsm_node.store.migration import target as module
from hsm_node.store.migration.errors import MigrationError
from hsm_node.store.migration.target import Target

ROWS = [Row(number.to_bytes(32, "big"), 0, b"%d" % number) for number in range(7)]


@pytest.fixture
def other(etcd: EtcdCluster) -> Iterator[Target]:
    """Another run on the same etcd."""
    with contextlib.closing(Target(etcd.addresses, etcd.tls)) as made:
        yield made


def nobody(_line: str) -> None:
    """Hear nothing."""


def test_rows_are_read_page_by_page_as_they_were_written(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE_ROWS", 3)
    assert target.is_empty()
    target.begin(b"mark", None)
    assert not target.is_empty()
    target.write(ROWS[:5])
    target.write(ROWS[5:])
    found = list(target.rows())
    assert [(row.name, row.data) for row in found] == [(row.name, row.data) for row in ROWS]
    assert len({row.revision for row in found}) == 2
    target.finish(b"check record")
    assert target.check() == b"check record"


def test_what_is_sent_twice_does_no_harm(target: Target) -> None:
    target.begin(b"mark", None)
    target.begin(b"mark", None)  # Its answer was lost.
    target.write(ROWS)
    target.write(ROWS)
    target.finish(b"check record")
    target.finish(b"check record")
    assert len(list(target.rows())) == len(ROWS)


def test_who_is_not_the_last_to_begin_writes_nothing_more(target: Target, other: Target) -> None:
    target.begin(b"mine", None)
    with pytest.raises(MigrationError, match="another migration, or a node"):
        other.begin(b"theirs", None)
    other.begin(b"theirs", target.check())
    for late in (
        lambda: target.write(ROWS),
        lambda: target.finish(b"check record"),
        lambda: target.raise_to(1 << 60, nobody),
    ):
        with pytest.raises(MigrationError, match="another migration, or a node"):
            late()
    assert list(other.rows()) == []
    assert target.check() == b"theirs"


def test_a_key_of_somebody_else_is_seen(etcd: EtcdCluster, target: Target) -> None:
    for key in (b"elsewhere", ROW_PREFIX + b"n" * 32):
        etcd.put(key, b"")
        assert not target.is_empty()
        etcd.empty()


def test_the_revision_is_raised_as_far_as_it_has_to_be(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TELL_S", 0.0)
    told: list[str] = []
    target.begin(b"mark", None)
    first = target._calls.identity.highest
    target.raise_to(first + 40, told.append)
    assert first + 40 <= target._calls.identity.highest < first + 40 + module.RAISERS
    assert any(f"of {first + 40}" in line for line in told)
    highest = target._calls.identity.highest
    target.raise_to(first, told.append)
    assert target._calls.identity.highest == highest


def test_what_is_too_far_away_is_for_etcds_own_tool(target: Target) -> None:
    target.check_reach(1000)
    with pytest.raises(MigrationError, match="etcdutl snapshot restore --bump-revision 90000000"):
        target.check_reach(90_000_000)
    assert target.is_empty()


def test_all_that_is_written_stands_on_the_mark(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[TxnRequest] = []
    target.begin(b"mark", None)
    txn = target._calls.txn
    monkeypatch.setattr(target._calls, "txn", lambda request, within_s: sent.append(request) or txn(request, within_s))
    target.write(ROWS)
    target.raise_to(target._calls.identity.highest + 1, nobody)
    target.finish(b"check record")
    assert all([(compare.key, compare.value) for compare in one.compare] == [(CHECK_KEY, b"mark")] for one in sent)
