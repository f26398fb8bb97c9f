"""docs/logs.md has every line that the daemons can write, and a word about each."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = """
from hsm_daemon import logs
from hsm_daemon.log_limit import LimitedLog
from proxy.words import GONE

_log = logs.logger("proxy.test")
_limited = LimitedLog(_log, 1)
_other = LimitedLog(logs.logger("proxy.other"), 1)
WORDS = {1: ("first", "a"), 2: ("second", "b")}

class Part:
    def __init__(self):
        self._fields = {"inside": 1}
        self._own = LimitedLog(_log, 1)

    def work(self, code, notices, journal):
        logs.event(_log, "error" if code else "info", "it has ended", code=code, **self._fields)
        where = {"node": 1, **self._fields}
        self._own.event("warning", GONE, **where)
        _other.exception("it failed", ValueError(), path="/")
        text, what = WORDS[code]
        notices.add(text, level="info", what=what)
        journal.tell(_log, "info", "told", who=1)
        fields = {}
        fields["late"] = 1
        _limited.event("debug", "many", **fields)
"""


@pytest.fixture(scope="module")
def tool(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("make_log_docs")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module that writes lines, in every way that there is."""
    for name, text in {"proxy/part.py": SOURCE, "proxy/words.py": 'GONE = "it is gone"\n'}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_the_page_is_current_and_says_something_of_every_line(tool: ModuleType) -> None:
    assert tool.main(["--check"]) == 0, "run python tools/make_log_docs.py, and say in docs/logs.md what is new"


def test_every_way_to_write_a_line_is_found(tool: ModuleType, project: Path) -> None:
    found = {
        (event.logger, event.text): (line.levels, line.fields)
        for event, line in tool.events(project).items()
        if event.text not in ("node changed", "path changed", "the log's settings have changed")
    }
    assert found == {
        ("proxy.nodes", "first"): (("info",), ("what",)),
        ("proxy.nodes", "second"): (("info",), ("what",)),
        ("proxy.other", "it failed"): (("error",), ("path", "traceback")),
        ("proxy.test", "it has ended"): (("error", "info"), ("code", "inside")),
        ("proxy.test", "it is gone"): (("warning",), ("node", "inside")),
        ("proxy.test", "many"): (("debug",), ("late",)),
        ("proxy.test", "told"): (("info",), ("who",)),
    }


def test_words_that_are_made_at_run_time_are_an_error(tool: ModuleType, project: Path) -> None:
    (project / "proxy" / "part.py").write_text(
        'from hsm_daemon import logs\n_log = logs.logger("proxy.test")\n'
        'def work(name):\n    logs.event(_log, "info", f"{name} is gone")\n'
    )
    with pytest.raises(Exception, match=r"proxy/part.py:4: logs.event\(_log, 'info', f'{name} is gone'\)"):
        tool.events(project)


def test_what_is_said_of_a_line_is_kept_and_a_line_without_it_is_reported(
    tool: ModuleType, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = project / "logs.md"
    page.write_text(
        f"before\n{tool.BEGIN}\n\n### `proxy.test`\n\n| told | x | y | It was told. |\n\n{tool.END}\nafter\n"
    )
    assert tool.main([], page, project) == 0
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| told | info | `who` | It was told. |" in text
    assert "many" in capsys.readouterr().err
    assert tool.main(["--check"], page, project) == 1
    page.write_text(text.replace("info", "error", 1))
    assert tool.main(["--check"], page, project) == 1
    assert "out of date" in capsys.readouterr().err
