"""What a person sees of a cluster, in a real browser: each state, sizes, themes, keys, a screen reader's view."""

import os
import re
import signal
from collections.abc import Callable
from itertools import pairwise

from bench_process import hsmctl
from playwright.sync_api import Page, expect
from programs import Program, wait_until
from sites_cluster import SitesCluster
from views import SIZES, THEMES, Views, inaccessible, keep
from watched_load import load

RATE = 120.0
GROWN = re.compile(r"(?:L.*){12}")
"""A small line with so many points that a picture of it shows something."""
OVERLOAD = "[limits]\nqueue_requests = 4\n"

MakeSites = Callable[..., SitesCluster]


def address(program: Program) -> str:
    """Return the address of its page."""
    return f"http://127.0.0.1:{program.admin_port}/"


def see_all(views: Views, cluster: SitesCluster, state: str, said: str) -> None:
    """See that state at each size and in each theme: the same words, no fault, nothing beside the edge."""
    pages = {
        (size, theme): views.open(address(cluster.proxy), size, theme, reduced_motion="reduce")
        for size in SIZES
        for theme in THEMES
    }
    for (size, theme), page in pages.items():
        page.bring_to_front()  # a page that nobody looks at asks less often
        expect(page.locator("#verdict-what")).to_contain_text(said)
        expect(page.locator(".trend-line").first).to_have_attribute("d", GROWN)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size][0]
        assert inaccessible(page) == []
        keep(page, f"{state}-{size}-{theme}")


def test_a_healthy_cluster_is_one_look(make_sites: MakeSites, views: Views) -> None:
    cluster = make_sites()
    with load(cluster, rate=RATE):
        see_all(views, cluster, "healthy", "All 4 nodes serve.")
        page = views.open(address(cluster.proxy))
        expect(page.locator(".node[data-level=ok]")).to_have_count(4)
        expect(page.locator(".site")).to_have_count(3)
        expect(page.locator("#verdict-then")).to_have_text("Nothing to do.")
        expect(page).to_have_title("4 of 4 nodes serve – test")
        status = cluster.proxy.status()
        shown = float(page.locator(".figure-value").first.inner_text().replace(",", ""))
        assert abs(shown - status["requests_per_second"]) < RATE / 2
        assert page.locator("#map > svg").get_attribute("role") == "img"
        expect(page.locator("#map .way-up")).to_have_count(2)
        expect(page.locator("#map .way-unused")).to_have_count(2)


def test_a_dead_node_is_named_with_the_reason_and_what_to_do_and_its_return_too(
    make_sites: MakeSites, views: Views
) -> None:
    cluster = make_sites()
    node = cluster.node("node-2")
    watching = views.open(address(cluster.proxy))
    expect(watching.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    watching.evaluate("window.sameDocument = true")
    with load(cluster, rate=RATE):
        node.kill()
        # It changes by itself, where a screen reader listens.
        expect(watching.locator("[role=status] h2")).to_have_text("node-2 is down: connection refused.")
        see_all(views, cluster, "node-down", "node-2 is down: connection refused.")
        watching.bring_to_front()
        expect(watching.locator("#verdict-then")).to_have_text("Requests go to the other three.")
        expect(watching.locator("#verdict-do code").first).to_have_text("systemctl status hsm-node@node-2")
        expect(watching.locator(".node[data-level=bad] .node-name")).to_have_text(["node-2"])
        expect(watching.locator("#events li").first).to_contain_text("node-2")
    node.start()
    expect(watching.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    assert watching.evaluate("window.sameDocument"), "it was not loaded anew"


def test_a_dead_site_is_one_problem_not_many(make_sites: MakeSites, views: Views) -> None:
    cluster = make_sites()
    with load(cluster, rate=RATE):
        for name in ("node-3", "node-4"):
            cluster.node(name).kill()
        see_all(views, cluster, "site-down", "Site bern is down: none of its two nodes can be reached.")
        page = views.open(address(cluster.proxy))
        expect(page.locator("#verdict-then")).to_have_text("Requests go to the other two.")
        expect(page.locator("#verdict-more")).to_be_hidden()
        expect(page.locator(".site[data-level=bad] .site-name")).to_have_text(["bern"])
        expect(page.locator("#map .way-down")).to_have_count(2)


def test_overload_is_said_with_how_much_is_refused(make_sites: MakeSites, views: Views) -> None:
    cluster = make_sites(key_type="rsa-4096", settings=OVERLOAD, window=1)
    with load(cluster, rate=300.0, clients=32, mechanism="rsa-pss-sha256"):
        see_all(views, cluster, "overloaded", "The cluster is overloaded:")
        page = views.open(address(cluster.proxy))
        expect(page.locator(".figure[data-level=bad] dt")).to_have_text(["Errors per second"])


def test_a_drained_node_is_no_alarm(make_sites: MakeSites, page: Page) -> None:
    cluster = make_sites()
    page.goto(address(cluster.proxy))
    hsmctl(cluster.config_of("operator"), "node", "drain", "node-1")
    expect(page.locator("#verdict-what")).to_have_text("node-1 is drained: an operator asked for it.")
    expect(page.locator("#verdict")).to_have_attribute("data-level", "off")
    expect(page.locator("#verdict-do code")).to_have_text("hsmctl node enable node-1")


def test_without_any_node_it_says_that_every_request_is_refused(make_sites: MakeSites, page: Page) -> None:
    cluster = make_sites()
    page.goto(address(cluster.proxy))
    for node in cluster.nodes:
        node.kill()
    expect(page.locator("#verdict-what")).to_have_text("No node can be reached.")
    expect(page.locator("#verdict-then")).to_have_text("Every request is refused.")
    assert inaccessible(page) == []


def test_a_proxy_that_is_away_is_said_and_its_return_is_seen(make_sites: MakeSites, page: Page) -> None:
    cluster = make_sites()
    page.goto(address(cluster.proxy))
    expect(page.locator("#live")).to_have_attribute("data-live", "live")
    page.evaluate("window.sameDocument = true")
    cluster.proxy.kill()
    expect(page.locator("#verdict-what")).to_have_text("No answer from the proxy.")
    expect(page.locator("#live-text")).to_contain_text("No answer from the proxy since")
    expect(page).to_have_title("No answer – Redoubt")
    assert inaccessible(page) == []
    keep(page, "no-answer-desktop-light")
    cluster.proxy.start()
    expect(page.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    # One that hangs takes the connection and says nothing.
    os.kill(cluster.proxy.pid, signal.SIGSTOP)
    try:
        expect(page.locator("#verdict-what")).to_have_text("No answer from the proxy.")
    finally:
        os.kill(cluster.proxy.pid, signal.SIGCONT)
    expect(page.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    assert page.evaluate("window.sameDocument"), "it was not loaded anew"


def test_a_hot_restart_is_not_noticed(make_sites: MakeSites, page: Page) -> None:
    cluster = make_sites()
    page.goto(address(cluster.proxy))
    expect(page.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    page.evaluate(
        "window.said = []; new MutationObserver(() => said.push(document.getElementById('verdict-what').textContent))"
        ".observe(document.getElementById('verdict'), {subtree: true, childList: true, characterData: true})"
    )
    before = cluster.proxy.status()["pid"]
    os.kill(cluster.proxy.pid, signal.SIGUSR2)
    wait_until(lambda: _pid(cluster) not in (0, before), lambda: "a successor")
    page.wait_for_timeout(3_000)
    assert [text for text in page.evaluate("said") if "No answer" in text] == []


def _pid(cluster: SitesCluster) -> int:
    try:
        return int(cluster.proxy.status()["pid"])
    except AssertionError:
        return 0


def test_everything_is_reached_with_the_keyboard_in_the_order_of_reading(sites: SitesCluster, page: Page) -> None:
    page.goto(address(sites.proxy))
    expect(page.locator("#live")).to_have_attribute("data-live", "live")
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
    shown = ["events-all"] if page.locator("#events-all").is_visible() else []
    wanted = ["Skip to the state of the cluster", "pause", *shown, "JSON", "Metrics", "Text"]
    assert order[: len(wanted)] == wanted
    page.goto(address(sites.proxy))
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.locator("#pause").focus()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Space")
    expect(page.locator("#pause")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#live-text")).to_contain_text("Paused at")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)
    assert asked == []
    with page.expect_request("**/*"):  # the browser may tell of it after it shows that it is live
        page.keyboard.press("Space")
    expect(page.locator("#live-text")).to_contain_text("Live")


def test_a_screen_reader_finds_landmarks_headings_and_states_in_words(sites: SitesCluster, page: Page) -> None:
    page.goto(address(sites.proxy))
    expect(page.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    for role, name in (
        ("heading", "Redoubt test"), ("region", "All 4 nodes serve."), ("region", "The last ten seconds"),
        ("region", "Where"), ("region", "Data centres"), ("region", "What happened"), ("article", "bern"),
        ("list", "Nodes of bern"), ("list", "Uplinks of bern"), ("heading", "node-3"),
        ("navigation", "The same for programs"), ("button", "Pause"),
    ):  # fmt: skip
        expect(page.get_by_role(role, name=name, exact=True)).to_have_count(1)  # type: ignore[arg-type]
    for role in ("banner", "main", "contentinfo", "status"):
        expect(page.get_by_role(role)).to_have_count(1)  # type: ignore[arg-type]
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    expect(page.locator(".node-state")).to_have_text(["serves"] * 4)


def test_it_stands_still_for_whoever_wants_that(sites: SitesCluster, views: Views) -> None:
    for wish, name in (("reduce", "none"), ("no-preference", "beat")):
        page = views.open(address(sites.proxy), reduced_motion=wish)
        expect(page.locator("#live")).to_have_attribute("data-live", "live")
        assert page.evaluate("getComputedStyle(document.querySelector('.live-dot')).animationName") == name


def test_it_fits_into_320_pixels(sites: SitesCluster, views: Views) -> None:
    """As a page of 1,280 does that is enlarged four times (WCAG 2.2, 1.4.10)."""
    page = views.open(address(sites.proxy), "phone")
    expect(page.locator("#verdict-what")).to_have_text("All 4 nodes serve.")
    page.set_viewport_size({"width": 320, "height": 640})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
