"""What a look at every member says, and which endpoints a node does not start with."""

import logging
from typing import Any

import pytest
from fake_links import TOO_LATE, FakeLink

from hsm_daemon.errors import StartError
from hsm_node.core.keyring import Keyring
from hsm_node.store.check_record import ClusterRow, make_check_record
from hsm_node.store.etcd.calls import Calls
from hsm_node.store.etcd.epochs import Epochs
from hsm_node.store.etcd.messages_pb2 import KeyValue
from hsm_node.store.etcd.opening import encoded
from hsm_node.store.etcd.survey import Survey, check_endpoints
from hsm_node.store.etcd.transactions import CHECK_KEY

FENCED: list[str] = []


@pytest.fixture
def links() -> list[FakeLink]:
    return [FakeLink(1), FakeLink(2), FakeLink(3)]


@pytest.fixture
def calls(links: list[FakeLink]) -> Calls:
    return Calls(links)  # type: ignore[arg-type]  # fakes


@pytest.fixture
def epochs(keyring: Keyring) -> Epochs:
    keyring.make_store_keys()
    record = make_check_record(ClusterRow(b"c" * 16, "dev", 1), keyring)
    return Epochs(record, b"", keyring, FENCED.append)


def check_record(keyring: Keyring, epoch: int, cluster_id: bytes = b"c" * 16) -> KeyValue:
    keyring.make_store_keys()
    record = make_check_record(ClusterRow(cluster_id, "dev", epoch), keyring)
    return KeyValue(key=CHECK_KEY, value=encoded(record, keyring))


def test_members_that_nobody_uses_are_looked_at_too(calls: Calls, links: list[FakeLink], epochs: Epochs) -> None:
    survey = Survey(calls, epochs)
    survey.look()
    assert survey.wrong == {"127.0.0.1:1": "", "127.0.0.1:2": "", "127.0.0.1:3": ""}
    assert all(link.asked == ["status"] for link in links)


def test_members_that_come_are_looked_at_and_those_that_go_are_forgotten(
    calls: Calls, links: list[FakeLink], epochs: Epochs
) -> None:
    survey = Survey(calls, epochs)
    links[2].failing_status = TOO_LATE
    survey.look()
    new = [FakeLink(3), FakeLink(4)]
    new[1].failing_status = TOO_LATE
    calls.renew(new)  # type: ignore[arg-type]  # fakes
    survey.renewed()
    assert survey.wrong == {"127.0.0.1:3": "no answer in time", "127.0.0.1:4": ""}
    survey.look()
    assert survey.wrong == {"127.0.0.1:3": "", "127.0.0.1:4": "no answer in time"}


def test_a_look_that_is_under_way_when_members_are_exchanged_says_nothing_of_them(
    calls: Calls, links: list[FakeLink], epochs: Epochs, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = Survey(calls, epochs)
    look_at = calls.look_at

    def exchanged(*asked: Any) -> Any:
        calls.renew([FakeLink(9)])  # type: ignore[list-item]  # a fake
        survey.renewed()
        return look_at(*asked)

    monkeypatch.setattr(calls, "look_at", exchanged)
    survey.look()
    assert survey.wrong == {"127.0.0.1:9": ""}
    assert links[1].asked == []


def test_each_fault_has_its_words(calls: Calls, links: list[FakeLink], epochs: Epochs) -> None:
    survey = Survey(calls, epochs)
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


def test_where_this_nodes_own_certificate_has_expired_that_is_said(
    calls: Calls, links: list[FakeLink], epochs: Epochs
) -> None:
    survey = Survey(calls, epochs)
    links[1].failing_status = TOO_LATE
    calls.expired = lambda: "it expired"
    survey.look()
    assert survey.wrong["127.0.0.1:2"] == "it expired"


def test_it_is_logged_once_when_a_member_goes_why_and_when_it_comes_back(
    calls: Calls, links: list[FakeLink], epochs: Epochs, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    survey = Survey(calls, epochs)
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


def test_endpoints_of_two_clusters_are_refused_with_an_address_of_each(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    links[1].header.cluster_id = 0x1A
    with pytest.raises(StartError, match=r"different etcd clusters \(127\.0\.0\.1:3 to 7, 127\.0\.0\.1:2 to 1a\)"):
        check_endpoints(calls, keyring)


def test_members_that_are_all_too_old_are_refused_and_one_that_is_new_is_enough(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    links[0].failing_status = TOO_LATE
    check_endpoints(calls, keyring)
    for link in links:
        link.version = "3.4.23"
    with pytest.raises(StartError, match=r"127\.0\.0\.1:2 runs etcd 3\.4\.23.*upgrade them to 3\.5\.30 or newer"):
        check_endpoints(calls, keyring)
    links[2].version = "3.5.30"
    check_endpoints(calls, keyring)


def test_a_store_that_nobody_reaches_is_for_whoever_opens_it_to_say(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    for link in links:
        link.failing_status = TOO_LATE
    check_endpoints(calls, keyring)


def test_endpoints_of_one_store_in_two_epochs_are_what_a_promotion_leaves(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    links[0].kvs = links[1].kvs = [check_record(keyring, 1)]
    links[2].header.cluster_id = 8
    links[2].kvs = [check_record(keyring, 2)]
    assert [pair.value for pair in check_endpoints(calls, keyring)] == [links[1].kvs[0].value, links[2].kvs[0].value]
    for other in (check_record(keyring, 1), check_record(keyring, 2, b"d" * 16), KeyValue(value=b"damaged")):
        links[2].kvs = [other]
        with pytest.raises(StartError, match="different etcd clusters"):
            check_endpoints(calls, keyring)


def test_a_member_of_another_cluster_that_shows_a_higher_epoch_fences_the_node(
    calls: Calls, links: list[FakeLink], keyring: Keyring, epochs: Epochs, caplog: pytest.LogCaptureFixture
) -> None:
    FENCED.clear()
    survey = Survey(calls, epochs)
    survey.look()
    links[2].header.cluster_id = 8
    links[2].failing = TOO_LATE
    survey.look()
    links[2].failing, links[2].kvs = None, [check_record(keyring, 1)]
    survey.look()
    assert not FENCED

    def full(_cluster: bytes, _epoch: int) -> None:
        raise StartError("the disk is full")

    epochs.remember(1, full)
    links[2].kvs = [check_record(keyring, 2)]
    survey.once()
    assert "a member of another epoch could not be judged" in caplog.text
    epochs.remember(1, lambda _cluster, _epoch: None)
    survey.once()
    assert "epoch 2 was seen" in FENCED[0]


def test_a_node_of_the_dr_site_follows_its_member_that_was_made_a_store_of_its_own_while_another_one_answers_still(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    for link in links:
        link.kvs = [check_record(keyring, 1)]
    links[0].header.cluster_id = 8
    check_endpoints(calls, keyring, links[0].address)
    assert calls.identity.cluster_id == 8
    links[0].kvs = [check_record(keyring, 1, b"d" * 16)]
    with pytest.raises(StartError, match="different etcd clusters"):
        check_endpoints(calls, keyring, links[0].address)


def test_a_productive_node_does_not_choose_between_two_stores_of_one_epoch(
    calls: Calls, links: list[FakeLink], keyring: Keyring
) -> None:
    for link in links:
        link.kvs = [check_record(keyring, 1)]
    links[2].header.cluster_id = 8
    for recovery in (None, links[2].address):
        with pytest.raises(StartError, match="different etcd clusters"):
            check_endpoints(calls, keyring, recovery)
