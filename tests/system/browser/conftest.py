"""The status page in headless Chromium, with a real cluster behind it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

# Appended, not inserted: other folders' modules keep their names.
_HERE = Path(__file__).parent
_SYSTEM = _HERE.parent
sys.path += [str(folder) for folder in (_HERE, _SYSTEM, _SYSTEM.parent / "integration")]

from bench_process import hsmctl  # noqa: E402 - found through the lines above
from process_table import end_all_of  # noqa: E402
from sites_cluster import SitesCluster  # noqa: E402
from views import WAIT_MS, Views  # noqa: E402
from watched_load import KEY  # noqa: E402


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window. It keeps an event loop running, so it ends with its file's tests."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is missing; install it with apt-get install chromium")
    # Root has no sandbox of its own; the pages are ours.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        expect.set_options(timeout=WAIT_MS)
        yield opened
        opened.close()


@pytest.fixture
def views(browser: Browser) -> Iterator[Views]:
    """Open pages that end with the test; whatever the browser complains of fails it."""
    made = Views(browser)
    yield made
    made.close()


@pytest.fixture
def page(views: Views) -> Page:
    """A page of a desktop's size in the light theme, on nothing yet."""
    return views.open()


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SitesCluster]:
    """A cluster at several sites that nobody may harm."""
    folder = tmp_path_factory.mktemp("sites")
    cluster = SitesCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def make_sites(tmp_path: Path) -> Iterator[Callable[..., SitesCluster]]:
    """Make a cluster at several sites, started, with a key labelled `load`; it ends with the test.

    `window` is how many requests each node takes at a time.
    """
    made: list[SitesCluster] = []

    def make(*, key_type: str = "ec-p256", window: int | None = None, settings: str = "") -> SitesCluster:
        cluster = SitesCluster(tmp_path, settings=settings)
        made.append(cluster)
        if window is not None:
            for node in cluster.nodes:
                cluster.write_node(node, limits=f"{{ window_requests = {window} }}")
        cluster.start()
        hsmctl(cluster.client_config, "key", "generate", "--type", key_type, "--label", KEY)
        return cluster

    yield make
    for cluster in made:
        cluster.stop()
        end_all_of(cluster.folder)
