"""The top of a page."""

from reports import down, look, node, report, silent, text, view

from hsmctl.overview.header import MAX_PROBLEMS, header
from hsmctl.overview.merging import View


def shown(seen: View, width: int = 120) -> list[str]:
    return text(header(seen, width)).splitlines()


def test_one_proxy_that_serves_takes_three_lines() -> None:
    assert shown(view()) == [
        "● SERVING   cluster payments, 2 of 2 nodes in rotation",
        "  100 req/s   800 µs p50   4.2 ms p99   0 failed/s   0 refused/s   6 in flight   0 waiting   16 clients",
        "  proxy proxy-1 in zurich, 10.0.0.1:2410, hsm-proxy 0.1.0, up 1m 30s",
    ]


def test_what_is_wrong_stands_below_the_health() -> None:
    lines = shown(view(look(report(node(), down("b"), health="degraded", problems=["b does not serve: refused"]))))
    assert lines[:3] == [
        "▲ DEGRADED: it serves, but not all is well   cluster payments, 1 of 2 nodes in rotation",
        "  ▲ b does not serve: refused",
        "  what to do: hsmctl doctor",
    ]


def test_a_cluster_that_is_down_says_so_even_where_an_older_proxy_names_no_problem() -> None:
    assert shown(view(look(report(down("a"), health=""))))[:2] == [
        "✗ DOWN   cluster payments, 0 of 1 node in rotation",
        "  ✗ no node serves",
    ]
    drained = node(administrative_state="drain", in_rotation=False)
    assert shown(view(look(report(drained, down("b"), health=""))))[1] == "  ✗ all nodes that are up are drained"


def test_more_problems_than_fit_are_counted() -> None:
    problems = [f"problem {number}" for number in range(MAX_PROBLEMS + 3)]
    lines = shown(view(look(report(health="degraded", problems=problems))))
    assert lines[MAX_PROBLEMS + 1] == "  and 3 more"


def test_several_proxies_have_a_line_each_and_a_silent_one_says_why() -> None:
    lines = shown(view(look(), silent()))
    assert lines[1] == "  ▲ proxy 10.0.0.1:2411 does not answer"
    head, first, second, reason = lines[5:]
    assert head.split()[:4] == ["PROXY", "SITE", "ADDRESS", "HEALTH"]
    assert first.startswith("proxy-1  zurich  10.0.0.1:2410  ● serving")
    assert second.startswith("?        -       10.0.0.1:2411  ✗ silent")
    assert reason == "  └ proxy 10.0.0.1:2411 cannot be reached: Connection refused"


def test_without_any_proxy_there_is_no_line_of_figures() -> None:
    lines = shown(view(silent()))
    assert lines[0] == "✗ DOWN"
    assert not any("req/s" in line for line in lines)


def test_columns_of_proxies_go_where_the_page_is_narrow() -> None:
    head = shown(view(look(), look(report(proxy="proxy-2"), port=2411)), 60)[3]
    assert head.split() == ["PROXY", "ADDRESS", "HEALTH", "REQ/S", "P50", "P99"]


def test_nothing_in_a_name_steers_the_terminal() -> None:
    evil = report(cluster="\x1b[2J", proxy="\x1b]0;x\x07", problems=["\x1b[31m"], health="degraded")
    assert "\x1b" not in text(header(view(look(evil)), 120))
