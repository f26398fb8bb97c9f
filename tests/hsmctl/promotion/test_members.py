"""The members of a store, listed, added and given their vote by etcdctl."""

from pathlib import Path

import pytest
from fake_host import FakeHost

from hsmctl.failures import CommandError
from hsmctl.promotion import members as module
from hsmctl.promotion.host import LocalStore
from hsmctl.promotion.members import Member, Members

LISTED = (
    '{"header":{"cluster_id":1},"members":[{"ID":10276657743932975437,"name":"etcd-alps","peerURLs":'
    '["https://127.0.0.1:2380"],"clientURLs":["https://127.0.0.1:2379"]},{"ID":7,"peerURLs":["https://127.0.0.2:2380"],'
    '"isLearner":true}]}'
)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    monkeypatch.setattr(module, "POLL_S", 0.0)
    return FakeHost(tmp_path)


@pytest.fixture
def members(host: FakeHost) -> Members:
    return Members(host, LocalStore("127.0.0.1:2379", None))


def test_members_are_listed_with_those_that_were_never_started(host: FakeHost, members: Members) -> None:
    host.script("etcdctl", f"echo '{LISTED}'")
    assert members.all() == [
        Member(10276657743932975437, ["https://127.0.0.1:2380"], "etcd-alps"),
        Member(7, ["https://127.0.0.2:2380"], "", is_learner=True),
    ]
    host.script("etcdctl", "echo none")
    with pytest.raises(CommandError, match="in an unknown form"):
        members.all()


def test_a_member_is_added_without_a_vote_and_gets_it_when_it_has_all_data(host: FakeHost, members: Members) -> None:
    # The first time it is refused, as while members call themselves unhealthy, or the new one is behind.
    host.script("etcdctl", f"[ -e {host.folder}/once ] && exit 0; touch {host.folder}/once; echo not yet >&2; exit 1")
    members.add("etcd-zurich", "https://127.0.0.2:2380")
    (host.folder / "once").unlink()
    members.promote(Member(255, ["https://127.0.0.2:2380"], "etcd-zurich", is_learner=True))
    said = [call.partition("member ")[2] for call in host.calls]
    assert said == ["add etcd-zurich --learner --peer-urls=https://127.0.0.2:2380"] * 2 + ["promote ff"] * 2


def test_what_does_not_come_about_in_time_is_told(
    host: FakeHost, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEALTHY_S", 0.0)
    host.script("etcdctl", "echo unhealthy cluster >&2; exit 1")
    with pytest.raises(CommandError, match=r"does not take etcd-zurich as a member \(unhealthy cluster\)"):
        members.add("etcd-zurich", "https://127.0.0.2:2380")
