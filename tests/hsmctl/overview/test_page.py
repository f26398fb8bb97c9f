"""The one screen of status, and the same as JSON."""

import json

from reports import event, look, report, silent, text, view

from hsmctl.overview.page import STATUS_EVENTS, status_document, status_page


def test_health_nodes_and_the_latest_events_fit_one_screen() -> None:
    told = [event(number, f"thing {number}") for number in range(1, 20)]
    lines = text(status_page(view(look(report(), *told)), 120)).splitlines()
    assert lines[0].startswith("● SERVING")
    assert "LATEST EVENTS (UTC)" in lines
    assert lines[-1] == "04:12:19  ▲ thing 19"
    assert len(lines) == lines.index("LATEST EVENTS (UTC)") + 1 + STATUS_EVENTS
    assert len(lines) <= 24


def test_without_events_there_is_no_title_for_them() -> None:
    assert "EVENTS" not in text(status_page(view(), 120))


def test_the_json_has_the_first_report_the_health_of_all_and_an_entry_a_proxy() -> None:
    document = status_document(view(silent(2409), look(report(), event()), look(report(health="down"), port=2411)))
    assert json.loads(json.dumps(document)) == document
    assert (document["health"], document["serves"], document["cluster"]) == ("degraded", True, "payments")
    assert document["nodes"][0]["paths"][0] == {"uplink": "isp-a", "state": "up", "reason": ""}
    assert [proxy["answers"] for proxy in document["proxies"]] == [False, True, True]
    assert document["proxies"][0]["error"].endswith("Connection refused")
    assert document["proxies"][2]["health"] == "down"
    assert document["events"][0]["proxy"] == "proxy-1"


def test_the_load_in_the_json_is_that_of_all_proxies_and_each_proxy_has_its_own() -> None:
    slow = report(requests_per_second=50.0, p50_ms=0.1, p99_ms=9.0, clients=2, failed_per_second=0.5)
    document = status_document(view(look(report()), look(slow, port=2411), silent(2412)))
    assert document["requests_per_second"] == 150.0
    assert (document["p50_ms"], document["p99_ms"]) == (0.8, 9.0)
    assert (document["clients"], document["failed_per_second"]) == (18, 0.5)
    assert [proxy.get("requests_per_second") for proxy in document["proxies"]] == [100.0, 50.0, None]


def test_the_json_of_a_cluster_that_cannot_be_reached_says_so() -> None:
    document = status_document(view(silent()))
    assert (document["health"], document["serves"], "nodes" in document) == ("down", False, False)
