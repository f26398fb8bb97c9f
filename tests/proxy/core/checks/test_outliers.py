"""Passive checks: errors eject, slowness takes some of the share."""

import pytest

from proxy.core.checks.outliers import SAMPLE_S, SLOW_MEMORY_S, Outlier, weigh
from proxy.core.nodes.node_table import Node
from proxy.core.notices import Notices
from proxy.core.settings import Settings


class Watch:
    """One node and its passive check; `serve` is answers, errors and the mean time of an answer in a quarter second."""

    def __init__(self, name="n"):
        self.node = Node(name, "s", 1, [("a", "h:1")])
        self.outlier = Outlier(self.node, Settings())
        self.outlier.round_trip_s = 0.0
        self.now = 100.0
        self.outlier.look(self.now)

    def serve(self, answers, errors=0, mean_s=0.001):
        self.node.answers += answers
        self.node.answer_time_s += answers * mean_s
        self.node.errors += errors
        self.now += SAMPLE_S
        self.outlier.look(self.now)
        return self.outlier.verdict()


@pytest.fixture
def watch():
    return Watch()


@pytest.mark.parametrize(("errors", "why"), [(2, ""), (3, "3 errors in a row"), (7, "7 errors in a row")])
def test_three_errors_in_a_row_eject(watch, errors, why):
    watch.node.errors_in_a_row = errors
    assert watch.outlier.verdict() == why


def test_a_node_that_was_not_looked_at_yet_is_judged_by_errors_in_a_row_only():
    outlier = Outlier(Node("n", "s", 1, []), Settings())
    assert outlier.verdict() == ""


@pytest.mark.parametrize(
    ("answers", "errors", "why"),
    [
        (19, 19, ""),  # too few to say anything
        (20, 1, "1 errors in 20 answers"),
        (21, 1, ""),  # 4.8 %
        (100, 4, ""),
        (100, 5, "5 errors in 100 answers"),
        (100, 0, ""),
    ],
)
def test_five_percent_of_at_least_twenty_answers_eject(watch, answers, errors, why):
    assert watch.serve(answers, errors) == why


def test_errors_and_answers_of_one_second_are_counted_together(watch):
    assert [watch.serve(5, errors) for errors in (1, 0, 0, 0)] == ["", "", "", "1 errors in 20 answers"]


def test_what_is_more_than_a_second_ago_no_longer_counts(watch):
    watch.serve(10, 5)
    for _ in range(4):
        watch.serve(0)
    assert watch.serve(19, 1) == "", "the ten answers and five errors are out of the window"


def test_a_node_that_was_out_begins_anew(watch):
    watch.serve(100, 50)
    watch.node.errors_in_a_row = 3
    watch.outlier.forget()
    assert (watch.outlier.verdict(), watch.outlier.mean_s) == ("", 0.0)
    assert watch.serve(100, 0) == ""


def slowness(*means, answers=60):
    """Serve one sample by each node; return what each gets of its weight."""
    watches = [Watch(f"n{index}") for index in range(len(means))]
    for watch, mean_s in zip(watches, means, strict=True):
        watch.serve(answers, mean_s=mean_s)
    weigh([(watch.node, watch.outlier) for watch in watches], Settings(), Notices())
    return [watch.node.slowness for watch in watches]


def test_a_node_ten_times_slower_gets_less_than_one_request_in_a_hundred():
    fast, other, slow = slowness(0.01, 0.01, 0.1)
    assert (fast, other) == (1.0, 1.0)
    assert slow == pytest.approx(0.005)


def test_a_node_four_times_slower_gets_the_cube_of_it():
    assert slowness(0.01, 0.01, 0.04)[2] == pytest.approx(1 / 64)


def test_up_to_three_times_slower_is_no_matter():
    assert slowness(0.01, 0.01, 0.0299) == [1.0, 1.0, 1.0]


def test_below_five_milliseconds_nothing_is_slow():
    assert slowness(0.0001, 0.0001, 0.0049) == [1.0, 1.0, 1.0]
    assert slowness(0.0001, 0.0001, 0.0051)[2] < 1.0


def test_a_node_alone_is_never_slow():
    assert slowness(5.0) == [1.0]
    assert slowness(5.0, 0.0) == [1.0, 1.0], "nothing is known of the other one"


def test_fewer_than_fifty_answers_say_nothing():
    assert slowness(0.01, 0.01, 1.0, answers=49) == [1.0, 1.0, 1.0]
    assert slowness(0.01, 0.01, 1.0, answers=50)[2] < 1.0


def test_the_way_to_a_node_is_not_its_slowness():
    near, far = Watch("near"), Watch("far")
    near.outlier.round_trip_s, far.outlier.round_trip_s = 0.0001, 0.04
    near.serve(60, mean_s=0.002)
    far.serve(60, mean_s=0.042)
    weigh([(near.node, near.outlier), (far.node, far.outlier)], Settings(), Notices())
    assert far.node.slowness == 1.0
    assert far.outlier.mean_s == pytest.approx(0.002)


def test_a_way_longer_than_an_answer_is_taken_for_the_answer(watch):
    watch.outlier.round_trip_s = 1.0
    watch.serve(60, mean_s=0.01)
    assert watch.outlier.mean_s == 0.0


def test_the_mean_follows_the_newest_sample(watch):
    watch.serve(60, mean_s=0.01)
    assert watch.outlier.mean_s == pytest.approx(0.01)
    watch.serve(60, mean_s=0.02)
    assert watch.outlier.mean_s == pytest.approx(0.018)


def test_an_outlier_whose_way_is_not_known_yet_is_not_slow():
    watch = Watch()
    watch.outlier.round_trip_s = float("inf")
    watch.serve(60, mean_s=3.0)
    assert watch.outlier.mean_s == 0.0


def test_a_slow_node_with_few_requests_is_seen_to_be_well_again():
    watches = [Watch(f"n{index}") for index in range(3)]
    pairs = [(watch.node, watch.outlier) for watch in watches]
    for watch, mean_s in zip(watches, (0.01, 0.01, 0.1), strict=True):
        watch.serve(60, mean_s=mean_s)
    weigh(pairs, Settings(), Notices())
    slow = watches[2]
    assert slow.node.slowness < 1.0
    for _ in range(12):
        slow.serve(1, mean_s=0.01)
    weigh(pairs, Settings(), Notices())
    assert slow.node.slowness == 1.0


def test_four_answers_are_too_few_to_see_that():
    watches = [Watch(f"n{index}") for index in range(2)]
    pairs = [(watch.node, watch.outlier) for watch in watches]
    for watch, mean_s in zip(watches, (0.01, 0.1), strict=True):
        watch.serve(60, mean_s=mean_s)
    weigh(pairs, Settings(), Notices())
    for answers in (1, 1, 1, 1, 0, 0, 0, 0, 0, 0):
        watches[1].serve(answers, mean_s=0.01)
    weigh(pairs, Settings(), Notices())
    assert watches[1].node.slowness < 1.0


def test_a_node_that_was_slow_when_the_clients_went_home_is_not_slow_all_night():
    watches = [Watch(f"n{index}") for index in range(2)]
    pairs = [(watch.node, watch.outlier) for watch in watches]
    notices = Notices()

    def beat(*means, answers=0):
        for watch, mean_s in zip(watches, means or (0.01, 0.1), strict=True):
            watch.serve(answers, mean_s=mean_s)
        weigh(pairs, Settings(), notices)
        return watches[1].node.slowness

    assert beat(answers=60) < 1.0
    beats = int(SLOW_MEMORY_S / SAMPLE_S)
    assert max(beat() for _ in range(beats - 1)) < 1.0
    assert beat() == 1.0
    texts = [notice.text for notice in notices.take()]
    assert texts == ["a node is slow and gets less", "a node has its full share again, it may be slow"]
    assert beat(answers=60) < 1.0, "the first answers of the morning tell that it still is"


def test_what_the_way_to_a_node_holds_follows_its_rate_and_its_fastest_ping(watch):
    assert watch.node.on_the_way == 0
    watch.outlier.round_trip_s = 0.04
    for _ in range(4):
        watch.serve(500)
    assert watch.node.on_the_way == 80


def test_nothing_is_known_of_a_way_before_its_first_ping(watch):
    watch.outlier.round_trip_s = float("inf")
    watch.serve(500)
    assert watch.node.on_the_way == 0
