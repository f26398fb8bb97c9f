"""How Sphinx makes the site of these pages: `make docs`. They are plain Markdown and read as well without it."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.resolve()

project = "Redoubt"
copyright = "the Redoubt authors"  # noqa: A001 - Sphinx's name for it
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "Redoubt"
html_copy_source = False
html_show_sphinx = False

try:
    release = metadata.version("redoubt")
except metadata.PackageNotFoundError:  # The site needs none of our packages installed.
    release = ""

# Links to headings are written as GitHub makes their anchors.
myst_heading_anchors = 4
highlight_language = "text"
# `mermaid` is no language that Pygments knows: its source is shown, since an interpreter would come from elsewhere.
suppress_warnings = ["misc.highlighting_failure"]

_LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]*)(?:#[^)\s]*)?\)")
_PATTERN = re.compile(r"^(\.\./\S*\*)\n", re.MULTILINE)


def _prepare(_app: Any, name: str, source: list[str]) -> None:
    """Name files that are no pages of the site instead of linking to them; drop patterns that no page matches."""
    folder = (DOCS / name).parent

    def shown(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        path = target.relative_to(DOCS.parent).as_posix()
        return link[1] if path in link[1] else f"{link[1]} (`{path}`)"

    text = _LINK.sub(shown, source[0])
    source[0] = _PATTERN.sub(lambda line: line[0] if any(folder.glob(f"{line[1]}.md")) else "", text)


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _prepare)
