"""What a look at every member says, and which endpoints a node does not start with."""

import logging

import pytest
from fake_links import TOO_LATE, FakeLink

from hsm_daemon.errors import StartError
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.survey import Survey, check_endpoints


@pytest.fixture
def links() -> list[FakeLink]:
    return [FakeLink(1), FakeLink(2), FakeLink(3)]


@pytest.fixture
def calls(links: list[FakeLink]) -> Calls:
    return Calls(links)  # type: ignore[arg-type]  # fakes


def test_members_that_nobody_uses_are_looked_at_too(calls: Calls, links: list[FakeLink]) -> None:
    survey = Survey(calls)
    survey.look()
    assert survey.wrong == {"127.0.0.1:1": "", "127.0.0.1:2": "", "127.0.0.1:3": ""}
    assert all(link.asked == ["status"] for link in links)


def test_each_fault_has_its_words(calls: Calls, links: list[FakeLink]) -> None:
    survey = Survey(calls)
    survey.look()

    def wrong() -> str:
        survey.look()
        return survey.wrong["127.0.0.1:3"]

    links[2].errors = ["memberID:1 alarm:NOSPACE "]
    assert "its quota is full" in wrong()
    links[2].errors = ["alarm:CORRUPT "]
    assert "replace the damaged one" in wrong()
    links[2].errors = []
    links[2].leader = 0
    assert "it sees no leader" in wrong()
    links[2].is_learner = True
    assert "it is a learner" in wrong()
    links[2].version = "3.4.23"
    assert wrong().endswith("127.0.0.1:3 runs etcd 3.4.23; upgrade it to 3.5.30 or newer")
    links[2].header.cluster_id = 8
    assert "belongs to etcd cluster 8, not 7" in wrong()
    links[2].failing_status = TOO_LATE
    assert wrong() == "no answer in time"


def test_where_this_nodes_own_certificate_has_expired_that_is_said(calls: Calls, links: list[FakeLink]) -> None:
    survey = Survey(calls)
    links[1].failing_status = TOO_LATE
    calls.expired = lambda: "it expired"
    survey.look()
    assert survey.wrong["127.0.0.1:2"] == "it expired"


def test_it_is_logged_once_when_a_member_goes_why_and_when_it_comes_back(
    calls: Calls, links: list[FakeLink], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    survey = Survey(calls)
    links[0].failing_status = TOO_LATE
    for _ in range(3):
        survey.look()
    links[0].failing_status = None
    links[0].leader = 0
    survey.look()
    links[0].leader = 1
    for _ in range(3):
        survey.look()
    said = [record.getMessage() for record in caplog.records]
    assert said == ["a member of the store is out"] * 2 + ["a member of the store is back"]


def test_endpoints_of_two_clusters_are_refused_with_an_address_of_each(calls: Calls, links: list[FakeLink]) -> None:
    links[1].header.cluster_id = 0x1A
    with pytest.raises(StartError, match=r"different etcd clusters \(127\.0\.0\.1:3 to 7, 127\.0\.0\.1:2 to 1a\)"):
        check_endpoints(calls)


def test_members_that_are_all_too_old_are_refused_and_one_that_is_new_is_enough(
    calls: Calls, links: list[FakeLink]
) -> None:
    links[0].failing_status = TOO_LATE
    check_endpoints(calls)
    for link in links:
        link.version = "3.4.23"
    with pytest.raises(StartError, match=r"127\.0\.0\.1:2 runs etcd 3\.4\.23.*upgrade them to 3\.5\.30 or newer"):
        check_endpoints(calls)
    links[2].version = "3.5.30"
    check_endpoints(calls)


def test_a_store_that_nobody_reaches_is_for_whoever_opens_it_to_say(calls: Calls, links: list[FakeLink]) -> None:
    for link in links:
        link.failing_status = TOO_LATE
    check_endpoints(calls)
