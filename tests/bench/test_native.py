"""How the C tools come to be, and what happens where they cannot."""

import shutil
from pathlib import Path

import pytest

from bench import native


@pytest.fixture
def own_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sources, and a build folder of its own."""
    shutil.copytree(native.SOURCES, tmp_path / "native")
    monkeypatch.setattr(native, "SOURCES", tmp_path / "native")
    monkeypatch.setattr(native, "BUILD", tmp_path / "build")
    return tmp_path / "native"


def test_what_was_compiled_is_used_again_until_a_source_changes(c_tools: native.Tools, own_sources: Path) -> None:
    first = native.compiled(with_tls=False)
    assert native.compiled(with_tls=False) == first
    header = own_sources / "histogram.h"
    header.write_text(header.read_text() + "/* changed */\n")
    assert native.compiled(with_tls=False).load != first.load
    assert not [path.name for path in native.BUILD.iterdir() if path.name.startswith(".")]


def test_both_compile_without_openssl(c_tools: native.Tools, own_sources: Path) -> None:
    found = native.compiled(with_tls=False)
    assert (found.kind, found.speaks_tls, found.extended) == ("c", False, True)


def test_a_source_with_a_warning_is_refused_in_one_line(c_tools: native.Tools, own_sources: Path) -> None:
    source = own_sources / "load.c"
    source.write_text(source.read_text() + "static int unused(void) { return 1; }\n")
    with pytest.raises(native.CompileError, match=r"load\.c does not compile with .*unused") as caught:
        native.compiled(with_tls=False)
    assert "\n" not in str(caught.value)


def test_without_a_compiler_the_tools_are_python_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(native, "compiler", lambda: None)
    assert native.tools(tls=False) is native.PYTHON
    said = capsys.readouterr().err
    assert "no C compiler" in said
    assert len(said.splitlines()) == 1


def test_without_openssl_only_the_tls_loads_are_python(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], c_tools: native.Tools
) -> None:
    monkeypatch.setattr(native, "_has_openssl", lambda program: False)
    assert native.tools(tls=False).kind == "c"
    assert native.tools(tls=True) is native.PYTHON
    assert "OpenSSL's headers are missing" in capsys.readouterr().err
