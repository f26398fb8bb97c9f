"""Pages of the browser: sizes, themes, what is wrong on them, and their pictures."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request

PICTURES: Final = os.environ.get("REDOUBT_SCREENSHOTS", "")
"""A folder that pictures are written to; empty: none are."""
MAX_PICTURE_BYTES: Final = 150_000
"""They are kept in the repository."""
MAX_PICTURE_HEIGHT_PX: Final = 1_500
COLOURS: Final = 128
SIZES: Final = {"desktop": (1280, 900), "phone": (360, 760)}
THEMES: Final = ("light", "dark")
WAIT_MS: Final = 20_000
"""For something to appear on the page: more than any bound of the proxy, on a busy machine."""


class Views:
    """Opens pages, and listens to what the browser says of them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.complaints: list[str] = []
        """Errors of scripts and of the content policy; requests for anything beyond the page's own host."""

    def open(self, address: str = "", size: str = "desktop", theme: str = "light", **options: Any) -> Page:
        """Open a page of that size and theme; empty address: on nothing yet."""
        width, height = SIZES[size]
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=theme,  # type: ignore[arg-type]  # one of THEMES
            is_mobile=size == "phone",
            has_touch=size == "phone",
            timezone_id="UTC",
            **options,
        )
        self._contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._hear(message.type, message.text))
        page.on("request", self._look)
        if address:
            page.goto(address)
        return page

    def close(self) -> None:
        """Close all; fail where the browser had something to complain of."""
        for context in self._contexts:
            context.close()
        assert self.complaints == []

    def _hear(self, kind: str, text: str) -> None:
        # A proxy that is away is what some tests make.
        if kind in ("error", "warning") and "net::ERR_" not in text:
            self.complaints.append(text)

    def _look(self, request: Request) -> None:
        if not re.match(r"http://127\.0\.0\.1:\d+/", request.url):
            self.complaints.append(f"it asked for {request.url}")


def inaccessible(page: Page) -> list[str]:
    """Return what axe-core finds to keep people from using the page, by rule, with the elements."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {[node['target'] for node in rule['nodes']]}" for rule in found]


def keep(page: Page, name: str) -> None:
    """Write a picture of the whole page where pictures are asked for."""
    if not PICTURES:
        return
    height = min(page.evaluate("document.documentElement.scrollHeight"), MAX_PICTURE_HEIGHT_PX)
    width = page.viewport_size["width"] if page.viewport_size else SIZES["desktop"][0]
    path = Path(PICTURES, f"{name}.png")
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": width, "height": height}, scale="css")
    subprocess.run(["pngquant", "--force", "--ext", ".png", "--strip", str(COLOURS), path], check=True)
    assert path.stat().st_size < MAX_PICTURE_BYTES, f"{path.name} has {path.stat().st_size} bytes"
