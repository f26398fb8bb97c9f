"""What nodes say of the store, compared."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_wire.messages import Pong
from proxy.core.checks.agreement import BEHIND, CLUSTER, DIGEST, EPOCH, REPEAT_S, WITNESS_S, Agreement
from proxy.core.nodes.node_table import DOWN, UP, Node
from proxy.core.notices import Notices
from proxy.core.parties import Link
from proxy.core.settings import Settings

LATE_S = 2 * 1.2 + 0.5
ROUND_TRIP_S = 0.002
LACKS = "a node's store lacks what another node has seen"
LACKS_NO_MORE = "a node lacks nothing of the store any more that another one has seen"
DIFFER = "two nodes were shown different stores"
AGREE = "two nodes agree about the store again, or one is gone"


def said(applied: int, digest: bytes = b"d", *, seen: int = 0, writes: int = 0, boot: bytes = b"1", **more) -> Pong:
    """What a node says that has applied that revision; writes are as many as revisions where nothing else is said."""
    fields = {"cluster_id": b"c" * 16, "epoch": 1, **more}
    return Pong(
        boot,
        0,
        1,
        1,
        0,
        applied_revision=applied,
        seen_digest=digest,
        seen_revision=max(seen, applied),
        seen_writes=writes or max(seen, applied),
        **fields,
    )


class Scene:
    """Nodes that are up, and the comparison of what they say."""

    def __init__(self, nodes: int = 3) -> None:
        self.now = 100.0
        self.notices = Notices()
        self.agreement = Agreement(Settings(), self.notices)
        self.nodes = [Node(f"n{number}", "s", 1, [("a", f"h{number}:1")]) for number in range(nodes)]
        for node in self.nodes:
            self.connect(node)
        self.changed: list[Node] = []

    def connect(self, node: Node) -> None:
        node.operational = UP
        node.paths[0].link = Link(node.paths[0], lambda raw: None)

    def lose(self, node: Node) -> None:
        node.operational = DOWN
        node.paths[0].link = None

    def says(self, number: int, pong: Pong, *, after_s: float = 1.0, asked: bool = True) -> Node:
        """Let a node answer a PING that was sent after that time."""
        self.now += after_s
        asked_at = self.now
        self.now += ROUND_TRIP_S
        node = self.nodes[number]
        self.changed = self.agreement.report(node, pong, asked_at if asked else None, self.now)
        return node

    def lines(self) -> list[str]:
        return [notice.text for notice in self.notices.take()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


# ---- behind ---------------------------------------------------------------------------------------------------------


def test_nodes_that_have_seen_the_same_have_no_fault(scene: Scene) -> None:
    for revision in (7, 8, 9):
        for number in range(3):
            node = scene.says(number, said(revision))
            assert (node.store_faults, node.outdated, scene.changed) == ({}, "", [])
    assert scene.lines() == []


def test_a_node_that_starts_on_an_older_store_is_outdated_with_its_first_word(scene: Scene) -> None:
    scene.says(0, said(100))
    node = scene.says(1, said(80))
    assert scene.changed == [node]
    assert node.outdated == node.store_faults[BEHIND] == "its store is at revision 80, and n0 has seen revision 100"
    (notice,) = scene.notices.take()
    assert (notice.text, notice.level) == (LACKS, "error")
    assert (notice.fields["node"], notice.fields["seen_by"]) == ("n1", "n0")
    assert "serves only while no other node can" in str(notice.fields["what"])
    assert scene.nodes[0].store_faults == {}


def test_what_was_not_known_when_the_node_was_asked_is_not_held_against_it(scene: Scene) -> None:
    scene.says(0, said(100))
    asked_at = scene.now + 0.1
    scene.says(0, said(105), after_s=0.2)
    scene.agreement.report(scene.nodes[1], said(100), asked_at, scene.now)
    assert scene.nodes[1].store_faults == {}
    scene.agreement.report(scene.nodes[2], said(80), None, scene.now)
    assert scene.nodes[2].store_faults == {}, "nobody knows when it was asked"


def test_a_node_that_was_in_step_may_be_late_for_two_check_intervals(scene: Scene) -> None:
    scene.says(0, said(100))
    node = scene.says(1, said(100))
    scene.says(0, said(110))
    learned_at = scene.now
    while scene.now - learned_at < LATE_S - 0.5:
        scene.says(1, said(109), after_s=0.4)
        assert node.outdated == ""
    scene.says(1, said(109), after_s=1.0)
    assert node.outdated
    scene.says(1, said(110))
    assert (node.outdated, node.store_faults, scene.changed) == ("", {}, [node])
    assert scene.lines() == [LACKS, LACKS_NO_MORE]


def test_a_node_that_is_always_a_little_late_is_never_outdated(scene: Scene) -> None:
    for number in (0, 1):
        scene.says(number, said(9000))
    for number in itertools.chain.from_iterable(itertools.repeat((0, 1), 30)):
        behind_s = 2.0 if number else 0.0
        node = scene.says(number, said(int((scene.now - behind_s) * 100)), after_s=0.5)
        assert node.outdated == ""


def test_a_node_that_is_always_too_late_stays_outdated(scene: Scene) -> None:
    outdated = []
    for number in itertools.chain.from_iterable(itertools.repeat((0, 1), 40)):
        behind_s = 5.0 if number else 0.0
        node = scene.says(number, said(int((scene.now - behind_s) * 100)), after_s=0.5)
        outdated.append(bool(node.outdated))
    assert outdated[21::2] == [True] * len(outdated[21::2]), "it does not come and go"
    assert outdated[::2] == [False] * 40


def test_a_record_that_is_left_out_or_old_shows_in_what_was_written(scene: Scene) -> None:
    scene.says(0, said(100, writes=100))
    node = scene.says(1, said(100, b"e", writes=97))
    assert node.outdated == "it lacks 3 changes of the store that n0 has seen"
    assert set(node.store_faults) == {BEHIND, DIGEST}
    assert set(scene.nodes[0].store_faults) == {DIGEST}
    assert scene.nodes[0].outdated == ""


def test_a_rolled_back_store_that_went_on_is_found_while_less_was_written(scene: Scene) -> None:
    scene.says(0, said(100, writes=500))
    assert scene.says(1, said(130, b"e", writes=430)).outdated == "it lacks 70 changes of the store that n0 has seen"


def test_a_node_that_remembers_goes_on_with_an_older_store_and_one_that_does_not_is_outdated(scene: Scene) -> None:
    scene.says(0, said(100, store_contact="stale", state="stale"))
    remembers = scene.says(1, said(80, seen=100))
    forgot = scene.says(2, said(80, b"e"))
    assert remembers.store_faults[BEHIND] == "its store is at revision 80, and n0 has seen revision 100"
    assert (remembers.outdated, bool(forgot.outdated)) == ("", True)
    first, second = (str(notice.fields["what"]) for notice in scene.notices.take() if notice.text == LACKS)
    assert "refuses the records that are older" in first
    assert "serves only while no other node can" in second


def test_a_node_that_remembers_is_outdated_where_another_one_has_the_newer_store(scene: Scene) -> None:
    scene.says(0, said(100))
    assert scene.says(1, said(80, seen=100)).outdated
    assert scene.says(1, said(100)).outdated == ""


def test_a_node_alone_says_that_its_own_store_is_older(scene: Scene) -> None:
    node = scene.says(0, said(80, seen=100))
    assert node.store_faults == {}, "it may have written that itself, just now"
    scene.says(0, said(80, seen=100))
    assert node.store_faults == {BEHIND: "its store is at revision 80, and the node itself has seen revision 100"}
    assert node.outdated == ""


def test_what_a_node_wrote_itself_is_no_fault_while_its_store_shows_it_late(scene: Scene) -> None:
    for number in range(3):
        scene.says(number, said(80, b"same"))
    node = scene.says(0, said(81, b"one more than others at that revision", seen=90), after_s=0.1)
    scene.says(1, said(81, b"same"), after_s=0.1)
    assert node.store_faults == scene.nodes[1].store_faults == {}
    scene.says(0, said(90, b"all"), after_s=0.1)
    scene.says(1, said(90, b"all"), after_s=0.1)
    assert scene.lines() == []


def test_a_store_that_stays_older_than_its_node_has_seen_is_another_one(scene: Scene) -> None:
    for _ in range(6):
        scene.says(0, said(80, b"with what the node has seen", seen=100))
        scene.says(1, said(80, b"without"))
    assert DIFFER in scene.lines()


def test_a_node_that_is_stale_by_its_own_word_is_not_called_late(scene: Scene) -> None:
    scene.says(0, said(100))
    assert scene.says(1, said(80, store_contact="stale")).store_faults == {}


def test_what_a_node_has_seen_that_is_gone_counts_for_a_while(scene: Scene) -> None:
    scene.says(0, said(100))
    scene.lose(scene.nodes[0])
    node = scene.says(1, said(80))
    assert node.outdated, "the one that is gone may stand still for a moment"
    gone_at = scene.now
    while scene.now - gone_at < WITNESS_S - 3.0:
        scene.says(1, said(80))
        assert node.outdated
    scene.says(1, said(80), after_s=3.0)
    assert (node.outdated, scene.changed) == ("", [node])
    assert scene.lines() == [LACKS, LACKS_NO_MORE]


def test_a_node_that_is_gone_has_no_fault_until_it_speaks_again(scene: Scene) -> None:
    scene.says(0, said(100))
    node = scene.says(1, said(80, b"e"))
    scene.says(2, said(80, b"f"))
    scene.lose(node)
    scene.says(0, said(100))
    assert (node.store_faults, node.outdated) == ({}, "")
    assert DIGEST not in scene.nodes[2].store_faults
    scene.connect(node)
    assert scene.says(1, said(80)).outdated


def test_a_node_that_comes_back_has_to_show_first_that_it_is_in_step(scene: Scene) -> None:
    scene.says(0, said(100))
    node = scene.says(1, said(100))
    scene.lose(node)
    scene.says(0, said(110))
    node.paths[0].link = Link(node.paths[0], lambda raw: None)
    assert scene.says(1, said(105)).outdated
    scene.says(0, said(110))
    assert node.outdated, "it is connected, though not in rotation yet"


def test_another_cluster_s_or_epoch_s_revisions_are_not_compared(scene: Scene) -> None:
    scene.says(0, said(100))
    assert BEHIND not in scene.says(1, said(10, cluster_id=b"x" * 16)).store_faults
    assert BEHIND not in scene.says(2, said(10, epoch=2)).store_faults


def test_nodes_without_a_memory_are_compared_by_revision_only(scene: Scene) -> None:
    plain = {"seen_digest": b"", "seen_revision": 0, "seen_writes": 0}
    scene.says(0, msgspec.structs.replace(said(100), **plain))
    assert scene.says(1, msgspec.structs.replace(said(80), **plain)).outdated
    assert scene.says(2, msgspec.structs.replace(said(100), **plain)).store_faults == {}
    assert scene.says(2, msgspec.structs.replace(said(100), cluster_id=b"")).store_faults == {}


def test_a_node_that_has_no_store_any_more_has_no_fault(scene: Scene) -> None:
    scene.says(0, said(100))
    node = scene.says(1, said(80))
    scene.says(1, Pong(b"1", 0, 1, 1, 0))
    assert (node.outdated, node.store_faults, scene.changed) == ("", {}, [node])


# ---- disagreements --------------------------------------------------------------------------------------------------


def test_two_nodes_at_one_revision_with_different_digests_disagree_and_both_go_on(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    scene.says(1, said(100, b"two"))
    one, two, _ = scene.nodes
    assert one.store_faults == {DIGEST: "its content is not that of n1"}
    assert two.store_faults == {DIGEST: "its content is not that of n0"}
    assert (one.outdated, two.outdated, scene.changed) == ("", "", [])
    (notice,) = scene.notices.take()
    assert (notice.text, notice.level) == (DIFFER, "error")
    assert (notice.fields["nodes"], notice.fields["revision"]) == ("n0, n1", 100)


def test_a_node_that_differs_from_all_others_is_named_with_each(scene: Scene) -> None:
    for number, digest in enumerate((b"one", b"two", b"two")):
        scene.says(number, said(100, digest))
    assert scene.nodes[0].store_faults == {DIGEST: "its content is not that of n1, n2"}
    assert scene.nodes[2].store_faults == {DIGEST: "its content is not that of n0"}


def test_different_revisions_are_compared_once_both_have_spoken_of_one(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    scene.says(0, said(101, b"more"))
    assert scene.says(1, said(102, b"other")).store_faults == {}
    assert DIGEST in scene.says(2, said(100, b"two")).store_faults, "n0 has spoken of that revision a second ago"


def test_a_disagreement_holds_until_they_agree_at_a_later_revision(scene: Scene) -> None:
    scene.says(0, said(99, b"same"))
    scene.says(0, said(100, b"one"))
    scene.says(1, said(100, b"two"))
    scene.says(1, said(101, b"three"))
    assert scene.nodes[0].store_faults, "nothing to compare"
    scene.says(1, said(99, b"same"), asked=False)  # It comes late, over another path.
    assert scene.nodes[0].store_faults
    scene.says(1, said(101, b"three"))
    scene.says(0, said(101, b"three"))
    assert not scene.nodes[0].store_faults
    assert scene.lines() == [DIFFER, AGREE]


def test_a_node_that_starts_anew_is_compared_anew(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    scene.says(1, said(100, b"two"))
    scene.says(1, said(100, b"one", boot=b"2"))
    assert not scene.nodes[0].store_faults
    assert not scene.nodes[1].store_faults


def test_a_node_without_contact_to_its_store_is_not_compared(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    assert scene.says(1, said(100, b"two", store_contact="stale")).store_faults == {}


def test_other_clusters_and_epochs_are_said(scene: Scene) -> None:
    scene.says(0, said(100))
    assert scene.says(1, said(100, cluster_id=b"x" * 16)).store_faults == {CLUSTER: "its cluster is not that of n0"}
    node = scene.says(2, said(100, epoch=2))
    assert node.store_faults == {EPOCH: "its epoch is not that of n0", CLUSTER: "its cluster is not that of n1"}
    assert [scene.nodes[number].outdated for number in range(3)] == [""] * 3
    assert len(scene.lines()) == 3
    scene.says(2, said(100))
    assert EPOCH not in scene.nodes[0].store_faults


# ---- lines ----------------------------------------------------------------------------------------------------------


def test_what_lasts_is_said_again_after_a_while_and_not_before(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    for _ in range(int(2.5 * REPEAT_S)):
        scene.says(1, said(100, b"two"))
    assert scene.lines() == [DIFFER] * 3


def test_what_comes_and_goes_makes_two_lines_in_that_time(scene: Scene) -> None:
    for _ in range(int(REPEAT_S / 4)):
        scene.says(0, said(100, b"one"))
        scene.says(1, said(100, b"two"))
        scene.says(1, said(100, b"one"))
    assert scene.lines() == [DIFFER, AGREE]


def test_a_node_that_was_taken_out_of_the_configuration_is_forgotten(scene: Scene) -> None:
    scene.says(0, said(100, b"one"))
    scene.says(1, said(80, b"two"))
    scene.says(2, said(100, b"two"))
    scene.agreement.forget(scene.nodes[0])
    for number in (1, 2):
        scene.says(number, said(100, b"two"))
        assert scene.nodes[number].store_faults == {}


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(0.001, 3.0)), max_size=60))
def test_nodes_that_follow_one_store_are_never_blamed(steps: list[tuple[int, bool, float]]) -> None:
    """Whatever the order of changes and PONGs, and however long an answer is on its way."""
    scene, revision = Scene(), 1
    for number, changed, way_s in steps:
        asked_at = scene.now
        scene.now += 0.01
        revision += changed
        node = scene.nodes[number]
        # It looks when the PING arrives; the answer is read later, when others may have said more.
        answer = said(revision, revision.to_bytes(4, "big"))
        if way_s > 1.0:
            revision += 1
            other = (number + 1) % 3
            scene.agreement.report(
                scene.nodes[other], said(revision, revision.to_bytes(4, "big")), asked_at, scene.now + way_s / 2
            )
        scene.now += way_s
        scene.agreement.report(node, answer, asked_at, scene.now)
        assert all((each.store_faults, each.outdated) == ({}, "") for each in scene.nodes)
    assert scene.lines() == []


# ---- how far a node is behind ---------------------------------------------------------------------------------------


def test_a_node_lacks_the_writings_that_others_had_seen_before_it_was_asked(scene: Scene) -> None:
    assert scene.says(0, said(40, writes=50)).lag_records == 0
    assert scene.says(1, said(30, writes=43, store_contact="stale", state="standby")).lag_records == 7
    assert scene.says(1, said(40, writes=50)).lag_records == 0
    assert scene.says(1, said(44, writes=54)).lag_records == 0


def test_the_writings_of_another_store_are_not_lacked(scene: Scene) -> None:
    scene.says(0, said(40, writes=50, epoch=2))
    assert scene.says(1, said(30, writes=43)).lag_records == 0
