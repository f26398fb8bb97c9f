import pytest

from hsm_node.store.base import ReplacedStoreError
from hsm_node.store.etcd.identity import Identity
from hsm_node.store.etcd.messages_pb2 import Header


def test_the_first_answer_says_which_cluster_it_is_and_no_other_one_counts() -> None:
    identity = Identity()
    identity.check(Header(cluster_id=7, revision=10), 0)
    identity.check_cluster(Header(cluster_id=7))
    with pytest.raises(ReplacedStoreError, match="etcd cluster 8, not 7"):
        identity.check(Header(cluster_id=8, revision=99), 0)
    assert (identity.cluster_id, identity.highest) == (7, 10)


def test_an_answer_below_what_was_seen_when_it_was_asked_for_is_an_older_state() -> None:
    identity = Identity()
    identity.check(Header(cluster_id=7, revision=10), 0)
    with pytest.raises(ReplacedStoreError, match="its revision is 9, this node has seen 10"):
        identity.check(Header(cluster_id=7, revision=9), identity.highest)


def test_answers_may_come_in_another_order_than_their_questions() -> None:
    identity = Identity()
    identity.check(Header(cluster_id=7, revision=10), 0)
    identity.check(Header(cluster_id=7, revision=9), 0)
    assert identity.highest == 10
