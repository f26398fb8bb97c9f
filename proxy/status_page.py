"""The status page: what is in the folder `page`, served as it is. The browser asks `/status` for all that changes.

The page comes from this proxy alone and may load nothing from elsewhere, so it works where there is no internet; and
no text that a node or a configuration brings can become script or markup (`POLICY`, and `textContent` in the modules).
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from hsm_daemon.admin import AdminAnswer

FOLDER: Final = Path(__file__).with_name("page")
INDEX: Final = "index.html"
PREFIX: Final = "/page/"
CONTENT_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# Names each kind of thing that the page loads; everything else, inline scripts and styles among it, is refused.
POLICY: Final = "; ".join((
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    "trusted-types 'none'",
))  # fmt: skip
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


def routes() -> dict[str, Callable[[], AdminAnswer]]:
    """Return the page at `/` and its parts below `/page/`. The files are read now: serving them waits for no disk."""
    answers = {path.name: _answer(path) for path in sorted(FOLDER.iterdir()) if path.suffix in CONTENT_TYPES}
    index = answers.pop(INDEX)
    pages: dict[str, Callable[[], AdminAnswer]] = {"/": partial(_same, index)}
    return pages | {PREFIX + name: partial(_same, answer) for name, answer in answers.items()}


def _answer(path: Path) -> AdminAnswer:
    return AdminAnswer(200, CONTENT_TYPES[path.suffix], path.read_bytes(), HEADERS)


def _same(answer: AdminAnswer) -> AdminAnswer:
    return answer
