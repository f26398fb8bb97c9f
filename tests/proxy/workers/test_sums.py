"""The figures of several workers as one."""

import importlib.util
import sys
from pathlib import Path

import pytest
from worker_figures import P, counter, gauge

from proxy.workers.sums import GAUGES, STATES, Family, Sums


def state(name, now, **labels):
    samples = [(f"{P}_{name}", {**labels, "state": each}, float(each == now)) for each in STATES[name]]
    return Family(f"{P}_{name}", "gauge", "text", samples)


def total(sums):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for metric in sums.total()
        for sample in metric.samples
    }


def summed(*told):
    sums = Sums(P)
    for number, families in enumerate(told, 1):
        sums.take(number, list(families))
    return total(sums)


def test_counters_are_added_by_their_labels():
    found = summed(
        [
            counter(3, node="a"),
        ],
        [counter(4, node="a")],
        [counter(5, node="b")],
    )
    assert found == {(f"{P}_requests_total", ("node", "a")): 7, (f"{P}_requests_total", ("node", "b")): 5}


def test_histograms_are_added_bucket_by_bucket():
    def histogram(low, high):
        buckets = [(f"{P}_d_bucket", {"le": le}, value) for le, value in (("1", low), ("+Inf", high))]
        return Family(f"{P}_d", "histogram", "text", [*buckets, (f"{P}_d_sum", {}, 1.5)])

    found = summed([histogram(1, 2)], [histogram(3, 5)])
    assert list(found.values()) == [4, 7, 3.0]


def test_what_a_worker_had_counted_stays_when_it_ends_and_its_gauges_go():
    sums = Sums(P)
    for count in (10, 20):
        sums.take(1, [counter(count), gauge("clients", 5)])
        sums.take(2, [counter(1), gauge("clients", 2)])
        sums.ended(1)
        sums.ended(1)
    sums.take(1, [counter(4), gauge("clients", 1)])
    assert total(sums) == {(f"{P}_requests_total",): 35, (f"{P}_clients",): 3}


def test_no_sum_of_counters_ever_falls():
    sums, seen = Sums(P), []
    for count in (3, 5, 9):
        sums.take(1, [counter(count)])
        seen.append(total(sums)[(f"{P}_requests_total",)])
    sums.ended(1)
    seen.append(total(sums)[(f"{P}_requests_total",)])
    sums.take(1, [counter(1)])
    seen.append(total(sums)[(f"{P}_requests_total",)])
    assert seen == [3, 5, 9, 9, 10]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("clients", 5.0), ("node_in_rotation", 2.0), ("node_lag_seconds", 3.0), ("node_window", 5.0), ("path_up", 2.0)],
)
def test_gauges_become_one_by_their_rule(name, expected):
    assert list(summed([gauge(name, 2.0)], [gauge(name, 3.0)]).values()) == [expected]


def test_a_state_is_that_of_the_worker_that_sees_it_worst_and_there_is_one():
    name = "node_state"
    found = summed(
        [state(name, "up", node="a"), state(name, "stale", node="b")],
        [state(name, "down", node="a"), state(name, "up", node="b")],
        [state(name, "up", node="a"), state(name, "up", node="b")],
    )
    assert [dict(key[1:]) for key, value in found.items() if value] == [
        {"node": "a", "state": "down"},
        {"node": "b", "state": "stale"},
    ]
    assert len(found) == 2 * len(STATES[name])


def test_what_a_node_is_wanted_to_do_is_the_least_of_it():
    name = "node_administrative_state"
    found = summed([state(name, "ready", node="a")], [state(name, "drain", node="a")])
    assert [dict(key[1:])["state"] for key, value in found.items() if value] == ["drain"]


def test_what_tells_of_versions_is_shown_once():
    build = Family(f"{P}_build", "info", "text", [(f"{P}_build_info", {"version": "1"}, 1.0)])
    assert summed([build], [build]) == {(f"{P}_build_info", ("version", "1")): 1.0}


def test_the_figures_of_one_process_can_be_looked_at():
    sums = Sums(P)
    sums.take(2, [Family(f"{P}_requests", "counter", "text", [(f"{P}_requests_total", {"o": o}, 2) for o in "ab"])])
    assert sums.of(2, f"{P}_requests_total") == 4
    assert sums.of(1, f"{P}_requests_total") == 0


def test_of_each_gauge_of_a_proxy_it_is_known_what_the_whole_is():
    path = Path(__file__).resolve().parents[3] / "tools" / "make_metrics_docs.py"
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location("make_metrics_docs", path)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    sys.path.remove(str(path.parent))
    gauges = {family.name for family in tool.proxy_families() if family.type == "gauge"}
    own = {name for name in gauges if name.startswith(f"{P}_worker_")}
    assert gauges - own == {f"{P}_{name}" for name in (*GAUGES, *STATES)}
