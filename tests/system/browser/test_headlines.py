"""What the page makes of what a proxy may say: each kind of trouble in words, and texts that nobody should trust."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from sites_cluster import SitesCluster
from views import THEMES, Views, inaccessible

NAMES = ("zrh-1", "zrh-2", "ber-1", "ber-2")
MARKUP = "<img src=x onerror='document.title=\"caught\"'><b>&amp;"


def node(name: str, **changes: object) -> dict[str, Any]:
    """Return a node that serves, but for the changes."""
    site = "zurich" if name.startswith("zrh") else "bern"
    paths = [{"uplink": uplink, "state": "up", "reason": ""} for uplink in ("north", "south")]
    made: dict[str, Any] = {"name": name, "site": site, "state": "up", "administrative_state": "ready", "reason": ""}
    made |= {"weight": 1, "in_flight": 3, "window": 64, "requests": 1, "failures": 0, "paths": paths, "since_s": 70.0}
    made |= {"store_fault": "", "outdated": False, "share": 0.25, "p50_ms": 0.8, "p99_ms": 3.1, "in_rotation": True}
    return made | changes


def status(*changed: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return what a proxy says of four nodes, some of them changed by name."""
    by_name = {name: node(name) for name in NAMES} | {each["name"]: each for each in changed}
    uplinks = [{"name": uplink, "state": "up"} for uplink in ("north", "south")]
    places = (("zurich", 47.37, 8.54), ("bern", 46.95, 7.44))
    sites = [
        {
            "name": name,
            "role": "active",
            "risk_zone": "",
            "latitude": latitude,
            "longitude": longitude,
            "uplinks": uplinks,
        }
        for name, latitude, longitude in places
    ]
    made: dict[str, Any] = {"proxy": "proxy-1", "site": "zurich", "cluster": "bank", "software": "hsm-proxy 1"}
    made |= {"uptime_ms": 1000, "clients": 3, "nodes": list(by_name.values()), "sites": sites, "events": []}
    made |= {"health": "serving", "problems": [], "requests_per_second": 900.0, "p50_ms": 0.8, "p99_ms": 3.1}
    made |= {"failed_per_second": 0.0, "overloaded_per_second": 0.0, "in_flight": 12, "waiting": 0}
    return made | changes


def out(name: str, state: str, reason: str = "", **changes: object) -> dict[str, Any]:
    """Return a node in that state."""
    return node(name, state=state, reason=reason, in_rotation=False, share=0.0, **changes)


def show(page: Page, sites: SitesCluster, answer: object) -> None:
    """Open the page with that answer to each of its questions."""
    body = json.dumps(answer)
    page.route("**/status", lambda route: route.fulfill(body=body, content_type="application/json"))
    page.goto(f"http://127.0.0.1:{sites.proxy.admin_port}/")


REFUSED = "north: cannot connect: Connection refused; south: cannot connect: Connection refused"
LATE = "north: cannot connect: Connection refused; south: no answer in time"
CUT = [{"uplink": "north", "state": "up"}, {"uplink": "south", "state": "down", "reason": "no answer in time"}]
CASES = [
    (status(), "ok", "All 4 nodes serve.", ""),
    (status(out("zrh-2", "down", REFUSED)), "bad", "zrh-2 is down: connection refused.", "hsm-node@zrh-2"),
    (status(out("zrh-2", "down", LATE)), "bad", f"zrh-2 is down: {LATE}.", "hsm-node@zrh-2"),
    (
        status(out("zrh-2", "down", REFUSED), out("ber-1", "down", REFUSED)),
        "bad", "zrh-2 and ber-1 are down: connection refused.", "hsm-node@NAME",
    ),
    (
        status(out("ber-1", "down", REFUSED), out("ber-2", "down", REFUSED)),
        "bad", "Site bern is down: none of its two nodes can be reached.", "hsm-node@*",
    ),
    (status(*(out(name, "down", REFUSED) for name in NAMES)), "bad", "No node can be reached.", "hsm-node@NAME"),
    (
        status(*(node(name, administrative_state="drain", in_rotation=False) for name in NAMES)),
        "bad", "No node serves: an operator took all of them out of service.", "hsmctl node enable NAME",
    ),
    (
        status(out("ber-1", "sealed", "the node reports that it is sealed")),
        "bad", "ber-1 is sealed: it waits for shares of its master key.", "hsmctl unseal",
    ),
    (
        status(out("ber-1", "blocked", "no progress for 1.2 s")),
        "bad", "ber-1 is blocked: no progress for 1.2 s.", "hsm-node@ber-1",
    ),
    (status(out("ber-1", "ejected", "its probe failed")), "bad", "ber-1 is taken out: its probe failed.", "journalctl"),
    (status(out("ber-1", "stale", "it lacks a change")), "warn", "ber-1 is behind: it lacks a change.", "journalctl"),
    (
        status(node("ber-1", administrative_state="maintain", in_rotation=False)),
        "off", "ber-1 is in maintenance: an operator asked for it.", "hsmctl node enable ber-1",
    ),
    (status(out("ber-2", "standby", "the node reports that it is standby")), "ok", "All 3 nodes serve.", ""),
    (status(node("ber-1", paths=CUT)), "warn", "One of two paths to ber-1 is down: south.", ""),
    (status(node("ber-1", store_fault="it lacks row 7")), "warn", "The store of ber-1 differs: it lacks row 7.", ""),
    (
        status(overloaded_per_second=90.0),
        "bad", "The cluster is overloaded: 90 requests a second are refused.", "hsmctl top",
    ),
    (status(failed_per_second=2.0), "warn", "2 requests a second fail.", "journalctl -u hsm-proxy"),
    (
        status(problems=["this proxy's certificate expires in 2 h"], health="degraded"),
        "bad", "This proxy's certificate expires in 2 h.", "systemctl reload hsm-proxy",
    ),
    (
        status(problems=["zrh-1 is slow and gets fewer requests"], health="degraded"),
        "warn", "zrh-1 is slow and gets fewer requests.", "hsmctl top",
    ),
    (status(problems=["something new"], health="degraded"), "warn", "Something new.", ""),
    (status(nodes=[]), "bad", "No node is configured.", ""),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "level", "said", "command"), CASES, ids=[case[2] for case in CASES])
def test_the_headline_says_what_is_wrong_and_what_to_do(
    page: Page, sites: SitesCluster, answer: dict[str, Any], level: str, said: str, command: str
) -> None:
    show(page, sites, answer)
    expect(page.locator("#verdict-what")).to_have_text(said)
    expect(page.locator("#verdict")).to_have_attribute("data-level", level)
    if command:
        expect(page.locator("#verdict-do")).to_contain_text(command)


@pytest.mark.parametrize("theme", THEMES)
def test_every_kind_of_trouble_at_once_keeps_nobody_from_reading(views: Views, sites: SitesCluster, theme: str) -> None:
    page = views.open(theme=theme)
    waits = node("zrh-2", administrative_state="drain", in_rotation=False)
    show(
        page,
        sites,
        status(node("zrh-1", paths=CUT), waits, out("ber-1", "stale"), out("ber-2", "ejected", "it failed")),
    )
    expect(page.locator("#verdict-more li")).to_have_count(4)
    expect(page.locator(".node-paths:visible")).to_have_text("No answer over south: no answer in time")
    assert inaccessible(page) == []


def test_the_last_node_left_is_a_problem_of_its_own(page: Page, sites: SitesCluster) -> None:
    show(page, sites, status(*(out(name, "down", REFUSED) for name in NAMES[1:])))
    expect(page.locator("#verdict-then")).to_have_text("All requests go to zrh-1.")
    expect(page.locator("#verdict-more")).to_contain_text("Only zrh-1 is left: one more fault stops the service.")


def test_text_from_outside_stays_text(page: Page, sites: SitesCluster) -> None:
    bad = out("zrh-2", "down", MARKUP, site=MARKUP) | {"name": MARKUP}
    event = {"number": 1, "at": "2026-01-02T03:04:05Z", "severity": "error", "site": MARKUP, "node": "", "what": MARKUP}
    answer = status(cluster=MARKUP, proxy=MARKUP, software=MARKUP, problems=[MARKUP], events=[event])
    show(page, sites, answer | {"nodes": [node("zrh-1"), bad]})
    expect(page.locator(".event-what")).to_have_text(MARKUP)
    expect(page.locator(".node[data-level=bad] .node-name")).to_have_text(MARKUP)
    assert page.locator("img, b").count() == 0
    assert page.title() == f"1 of 2 nodes serve – {MARKUP}"


@pytest.mark.parametrize(
    "answer", [{"nodes": [{}]}, {"nodes": [{"name": "a", "state": "up"}], "sites": 7, "events": [3]}]
)
def test_what_an_older_proxy_leaves_out_is_missed_by_nobody(page: Page, sites: SitesCluster, answer: object) -> None:
    show(page, sites, answer)
    expect(page.locator(".node")).to_have_count(1)
    expect(page.locator("#map-section")).to_be_hidden()


@pytest.mark.parametrize("answer", [None, [], {"nodes": 3}, "no"])
def test_an_answer_that_is_none_counts_as_no_answer(page: Page, sites: SitesCluster, answer: object) -> None:
    show(page, sites, answer)
    expect(page.locator("#verdict-what")).to_have_text("No answer from the proxy.")


def test_all_events_are_shown_when_they_are_asked_for(page: Page, sites: SitesCluster) -> None:
    events = [
        {
            "number": number,
            "at": "2026-01-02T03:04:05Z",
            "severity": "info",
            "site": "",
            "node": "",
            "what": f"event {number}",
        }
        for number in range(1, 51)
    ]
    show(page, sites, status(events=events))
    expect(page.locator(".event")).to_have_count(8)
    expect(page.locator(".event-what").first).to_have_text("event 50")
    page.locator("#events-all").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".event")).to_have_count(50)
    expect(page.locator("#events-all")).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#events-all")).to_be_focused()
    assert inaccessible(page) == []


def test_places_on_both_sides_of_the_date_line_are_neighbours(page: Page, sites: SitesCluster) -> None:
    made = status()
    for site, (latitude, longitude) in zip(made["sites"], ((-17.8, 178.0), (-13.8, -172.0)), strict=True):
        site |= {"latitude": latitude, "longitude": longitude}
    show(page, sites, made)
    expect(page.locator(".map-distance")).to_contain_text("1158 km")
    west, east = (page.locator(".place").nth(index).bounding_box() for index in (0, 1))
    assert west is not None
    assert east is not None
    assert west["x"] < east["x"]
