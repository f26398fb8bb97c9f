"""The status page as files: what is served, under which headers, and that it needs nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

from proxy import status_page
from proxy.core.nodes.node_table import ADMINISTRATIVE_STATES, OPERATIONAL_STATES, READY, STANDBY, UP

ROOT = Path(__file__).resolve().parents[2]
FOLDER = status_page.FOLDER
INDEX = (FOLDER / status_page.INDEX).read_text(encoding="utf-8")
MODULES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}
STYLE = (FOLDER / "style.css").read_text(encoding="utf-8")
VOID = {"meta", "link"}  # elements of the page that have no end
AA = 4.5  # contrast of text with what is behind it, WCAG 2.2, 1.4.3
AA_GRAPHICS = 3.0  # and of a sign, 1.4.11
MAX_BYTES = 100_000  # of all files: a phone at the end of a bad line loads it in a second or two


class Outline(HTMLParser):
    """What is in the page: elements with their attributes, in order; whatever is left open or closed twice."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.open = []
        self.wrong = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, attribute):
        return [attributes[attribute] for _, attributes in self.elements if attribute in attributes]


OUTLINE = Outline(INDEX)


def imports_of(module):
    """Return the modules that it imports, as written."""
    return re.findall(r'^import [^;]*? from "([^"]+)";', module, re.MULTILINE)


# ---- serving ---------------------------------------------------------------------------------------------------------


async def head_and_body(stage, path):
    """GET it; return the header lines and the body."""
    import asyncio

    host, port = stage.app.admin_address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return head.decode("ascii").split("\r\n"), body


async def test_the_page_and_its_parts_are_served_under_a_strict_policy(stage):
    await stage.start(nodes=1)
    for path, name in (("/", "index.html"), ("/?x=1", "index.html"), ("/page/style.css", "style.css")):
        lines, body = await head_and_body(stage, path)
        assert lines[0] == "HTTP/1.1 200 OK"
        assert body == (FOLDER / name).read_bytes()
        assert f"Content-Security-Policy: {status_page.POLICY}" in lines
        assert {"Cache-Control: no-store", "X-Content-Type-Options: nosniff", "Referrer-Policy: no-referrer"} <= {
            *lines
        }
    lines, _ = await head_and_body(stage, "/status")
    assert {"Content-Type: application/json", "Cache-Control: no-store", "X-Content-Type-Options: nosniff"} <= {*lines}
    for path in ("/page/", "/page/index.html", "/page/../app.py", "/page/nothing.js"):
        assert (await head_and_body(stage, path))[0][0] == "HTTP/1.1 404 Not Found"


def test_every_file_has_a_route_and_a_type():
    routes = status_page.routes()
    assert {*routes} == {"/"} | {f"/page/{path.name}" for path in FOLDER.iterdir() if path.name != "index.html"}
    types = {path: route().content_type for path, route in routes.items()}
    assert (types["/"], types["/page/page.js"]) == ("text/html; charset=utf-8", "text/javascript; charset=utf-8")
    assert all(route().headers["Content-Security-Policy"] == status_page.POLICY for route in routes.values())
    assert sum(len(route().body) for route in routes.values()) < MAX_BYTES


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere():
    rules = dict(rule.split(" ", 1) for rule in status_page.POLICY.split("; "))
    assert rules["default-src"] == "'none'"
    assert {value for name, value in rules.items() if name.endswith("-src")} == {"'none'", "'self'"}
    assert rules["frame-ancestors"] == rules["base-uri"] == rules["form-action"] == "'none'"


def test_a_wheel_contains_the_page(tmp_path):
    source = tmp_path / "source"
    shutil.copytree(ROOT / "proxy", source / "proxy", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", build, str(tmp_path)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"proxy/page/{path.name}" for path in FOLDER.iterdir()} <= names


# ---- what the files say ----------------------------------------------------------------------------------------------


def test_the_page_is_well_formed_and_names_what_it_refers_to():
    assert (OUTLINE.wrong, OUTLINE.open) == ([], [])
    assert INDEX.startswith("<!doctype html>\n<html lang=")
    ids = OUTLINE.values("id")
    assert [name for name, count in Counter(ids).items() if count > 1] == []
    referred = {name for attribute in ("aria-labelledby", "aria-controls") for name in OUTLINE.values(attribute)}
    assert referred <= {*ids}
    asked = {
        name for text in MODULES.values() for name in re.findall(r'\bat\("([^"]+)"\)|ElementById\("([^"]+)"\)', text)
    }
    assert {first or second for first, second in asked} <= {*ids}
    assert (
        len(OUTLINE.all("h1"))
        == len(OUTLINE.all("main"))
        == len(OUTLINE.all("header"))
        == len(OUTLINE.all("footer"))
        == 1
    )
    assert all(attributes.get("type") == "button" for attributes in OUTLINE.all("button"))


def test_nothing_is_inline_and_nothing_comes_from_elsewhere():
    assert OUTLINE.all("style") == []
    assert [name for _, attributes in OUTLINE.elements for name in attributes if name.startswith("on")] == []
    assert OUTLINE.values("style") == []
    assert re.findall(r"<script(?![^>]* src=)", INDEX) == []
    for text in (INDEX, STYLE, *MODULES.values()):
        addresses = re.findall(r"\bhttps?://[^\s\"']+|[\"'(]//\w[^\s\"']*", text)
        assert {*addresses} <= {"http://www.w3.org/2000/svg"}
    assert "@import" not in STYLE
    assert "url(" not in STYLE


def test_every_part_that_the_page_names_is_there_and_loaded_early():
    named = [path for attribute in ("href", "src") for path in OUTLINE.values(attribute) if path.startswith("page/")]
    assert [path for path in named if not (FOLDER / path.removeprefix("page/")).is_file()] == []
    early = {a["href"].removeprefix("page/") for a in OUTLINE.all("link") if a["rel"] == "modulepreload"}
    assert early == {*MODULES} - {"page.js"}
    for name, text in MODULES.items():
        assert {path.removeprefix("./") for path in imports_of(text)} <= {*MODULES}, name
    reached, waiting = set(), ["page.js"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [
            path.removeprefix("./") for path in imports_of(MODULES[name]) if path.removeprefix("./") not in reached
        ]
    assert reached == {*MODULES}, "a module that nothing imports"


@pytest.mark.parametrize("name", MODULES)
def test_no_module_makes_markup_or_code_of_text(name):
    forbidden = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|DOMParser|\.style\."
    )
    assert re.findall(forbidden, MODULES[name]) == []
    assert MODULES[name].startswith("// ")
    assert len(MODULES[name].splitlines()) <= 300


# ---- what the proxy says ---------------------------------------------------------------------------------------------


def table_of(module, name, ends):
    """Return what stands between the brackets of a table of a module."""
    return MODULES[module].partition(f"\nconst {name} = ")[2].partition(ends)[0]


def forms_of(name):
    """Return the forms of sentences in a table of `problems.js`: regular expressions that Python takes as well."""
    return [re.compile(form) for form in re.findall("/([^/]+)/", table_of("problems.js", name, "];"))]


def test_the_page_has_words_for_each_state_and_knows_what_to_do_about_each_that_does_not_serve():
    words, wishes = (re.findall(r'(\w+): "', table_of("nodes.js", name, "};")) for name in ("WORDS", "WISHES"))
    assert (sorted(words), sorted(wishes)) == (sorted(OPERATIONAL_STATES), sorted({*ADMINISTRATIVE_STATES} - {READY}))
    kinds = re.findall(r"^  (\w+): {$", table_of("problems.js", "KINDS", "};"), re.MULTILINE)
    assert sorted(kinds) == sorted({*words, *wishes} - {UP, STANDBY})


def test_the_page_knows_each_sentence_of_the_proxy_and_says_none_twice(wrong_in_every_way):
    told, said = forms_of("TOLD"), forms_of("SAID")
    known = {text: [form.pattern for form in told + said if form.search(text)] for text in wrong_in_every_way}
    assert {text: forms for text, forms in known.items() if len(forms) != 1} == {}
    used = {form for forms in known.values() for form in forms}
    assert {form.pattern for form in told + said} == used, "a form that no sentence has"


# ---- contrast --------------------------------------------------------------------------------------------------------


def themes():
    """Return the colours of both themes by name."""
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    )
    return {"light": light, "dark": light | dark}


def contrast(one, other):
    """Return the contrast of two colours as WCAG computes it."""

    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_signs_stand_out_from_what_is_behind_them(theme):
    colours = themes()[theme]
    states = ("ok", "warn", "bad", "off")
    text = [*product(("text", "soft", "accent", *states), ("card", "page")), ("soft", "faint"), ("text", "faint")]
    text += [(kind, f"{state}-wash") for state in states for kind in ("text", state)]
    assert {pair: value for pair in text if (value := contrast(colours[pair[0]], colours[pair[1]])) < AA} == {}
    signs = [*product(states, ("card", "faint")), ("accent", "faint"), ("accent", "card")]
    assert {
        pair: value for pair in signs if (value := contrast(colours[pair[0]], colours[pair[1]])) < AA_GRAPHICS
    } == {}
