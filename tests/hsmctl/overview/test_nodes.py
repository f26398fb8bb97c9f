"""The nodes of each site."""

import msgspec
import pytest
from reports import down, look, node, path, report, silent, site, text, view

from hsmctl.overview.nodes import SORTS, nodes, sorted_nodes


def test_nodes_stand_below_their_sites_with_their_figures() -> None:
    lines = text(nodes(view(), 140)).splitlines()
    assert " ".join(lines[0].split()) == "NODE STATE FOR SHARE REQ/S P50 P99 IN FLIGHT ANSWERS MOVED PATHS"
    assert lines[1] == "zurich, CH-ZH   uplinks isp-a isp-b"
    assert lines[2] == (
        "  zrh-1  ● up   1h 1m  ████      50%     50  800 µs  4.2 ms       3/64    1,200      0  isp-a isp-b"
    )
    assert lines[3] == "geneva, CH-ZH   uplinks isp-a isp-b"
    assert lines[4].startswith("  gva-1")


def test_a_site_tells_its_part_and_its_uplinks() -> None:
    seen = report(node(), sites=[site("zurich", ("down", "unused"), "disaster-recovery")])
    assert text(nodes(view(look(seen)), 140)).splitlines()[1] == (
        "zurich, disaster-recovery, CH-ZH   uplinks ✗isp-a down isp-b unused"
    )


def test_a_site_that_no_proxy_described_has_its_nodes_all_the_same() -> None:
    assert text(nodes(view(look(report(node(), sites=[]))), 140)).splitlines()[1] == "zurich"


def test_why_a_node_is_not_well_stands_below_it() -> None:
    fault = down("b", store_fault="it lacks 3 changes")
    lines = text(nodes(view(look(report(node("a"), fault, sites=[]))), 140)).splitlines()
    assert lines[3].startswith("  b   ✗ down")
    assert lines[4:] == ["  └ connection refused", "  └ store: it lacks 3 changes"]
    alike = down("b", store_fault="connection refused")
    assert text(nodes(view(look(report(alike))), 140)).count("connection refused") == 1


def test_a_node_that_only_some_proxies_use_says_so() -> None:
    seen = view(look(report(node("a"))), look(report(down("a"), proxy="proxy-2"), port=2411))
    lines = text(nodes(seen, 140)).splitlines()
    assert "▲isp-a 1/2 isp-b" in lines[2]
    assert "  └ 1 of 2 proxies give it requests" in lines


def test_a_path_that_is_down_has_a_sign() -> None:
    seen = view(look(report(node(paths=[path(), path("isp-b", "down")]))))
    assert text(nodes(seen, 140)).splitlines()[2].endswith("isp-a ✗isp-b")


@pytest.mark.parametrize("width", [10, 40, 60, 80, 100])
def test_what_matters_is_there_however_narrow_the_page_is(width: int) -> None:
    line = text(nodes(view(), width)).splitlines()[2]
    assert line.split()[:3] == ["zrh-1", "●", "up"]
    assert "50" in line.split()
    assert len(line) <= max(width, 60)


def test_no_nodes_are_no_lines() -> None:
    assert nodes(view(silent()), 80) == []


@pytest.mark.parametrize(
    ("sort", "order"),
    [("name", "abc"), ("req/s", "bac"), ("p99", "bca"), ("in flight", "cab"), ("state", "cab")],
)
def test_nodes_are_sorted_by_what_is_highest_or_worst(sort: str, order: str) -> None:
    seen = report(
        node("a", requests_per_second=5.0, p99_ms=1.0, in_flight=2),
        node("b", requests_per_second=9.0, p99_ms=7.0, in_flight=1),
        down("c", p99_ms=3.0, in_flight=3),
    )
    lines = text(sorted_nodes(view(look(seen)), 140, sort)).splitlines()
    assert "".join(line.split()[0] for line in lines[1:] if "└" not in line) == order
    assert sort in SORTS


def test_a_copy_says_how_far_it_is_behind() -> None:
    copy = node("alps-1", site="alps", state="standby", in_rotation=False)
    known = msgspec.structs.replace(copy, lag_records=0, lag_s=0.21)
    assert "└ 0 records, 0.2 s behind" in text(nodes(view(look(report(known))), 140))
    assert "└ how far it is behind is not known" in text(nodes(view(look(report(copy))), 140))
