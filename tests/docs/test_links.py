"""Every link between documents leads somewhere: the file is there, and so is the heading. No network is asked."""

import re
from collections import Counter
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest

FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)
NAVIGATION = re.compile(r"^```\{toctree\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def documents(root: Path) -> list[Path]:
    """Everything that a reader may read."""
    return [*sorted(root.glob("*.md")), *sorted((root / "docs").rglob("*.md"))]


@cache
def text_of(path: Path) -> str:
    """Return a document without its blocks of code."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchor_of(heading: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """Return the anchors of a document's headings; of like ones the second has -1 behind it."""
    seen: Counter[str] = Counter()
    anchors = set()
    for heading in HEADING.findall(text_of(path)):
        anchor = anchor_of(heading)
        anchors.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return frozenset(anchors)


def fault_of(document: Path, link: str) -> str | None:
    """Return what is wrong with a link."""
    parts = urlsplit(link)
    if parts.scheme:
        return None if parts.scheme in ("https", "mailto") and (parts.netloc or parts.path) else "not https"
    target = (document.parent / parts.path).resolve() if parts.path else document
    if not target.exists():
        return "no such file"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in anchors_of(target):
        return "no such heading"
    return None


def test_every_link_leads_to_a_file_and_a_heading(documents: list[Path], root: Path) -> None:
    links = [(path, link) for path in documents for link in LINK.findall(CODE.sub("", text_of(path)))]
    assert len(links) > 50
    faults = [f"{path.relative_to(root)}: {link}: {fault}" for path, link in links if (fault := fault_of(path, link))]
    assert faults == []


def test_a_link_into_nothing_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One `two` [three](x.md)\n\n## Same\n\n## Same\n")
    good = ["page.md", "#same-1", "page.md#one-two-three", "https://example.org/a"]
    bad = ["other.md", "#same-2", "page.md#four", "http://example.org"]
    assert [link for link in good + bad if fault_of(page, link)] == bad


def test_every_page_is_in_the_navigation(root: Path) -> None:
    docs = root / "docs"
    named = {docs / "index.md"}
    for page in docs.rglob("*.md"):
        for entries in NAVIGATION.findall(page.read_text(encoding="utf-8")):
            for entry in (line for line in entries.splitlines() if line and not line.startswith(":")):
                named |= {found.resolve() for found in page.parent.glob(f"{entry}.md")}
    missing = [str(page.relative_to(root)) for page in docs.rglob("*.md") if page not in named]
    assert missing == [], "name them in the toctree of docs/{tutorial,how-to,reference,explanation}/index.md"
