"""The pictures in docs/architecture.md and the tool that draws them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def drawing(load_tool: Callable[[str], ModuleType]) -> ModuleType:
    return load_tool("draw_architecture")


@pytest.fixture
def small_tree(tmp_path: Path, drawing: ModuleType) -> Path:
    for package in drawing.PACKAGES:
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
    return tmp_path


def test_the_document_shows_the_imports_of_the_code(root: Path) -> None:
    tool = root / "tools" / "draw_architecture.py"
    done = subprocess.run([sys.executable, tool, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_new_import_between_packages_becomes_an_arrow(drawing: ModuleType, small_tree: Path) -> None:
    (small_tree / "proxy" / "app.py").write_text("def f():\n    from hsm_wire.frames import Frame\n")
    assert drawing.package_edges(drawing.all_imports(small_tree)) == {("proxy", "hsm_wire")}


def test_parts_of_a_package_are_its_modules_and_folders(drawing: ModuleType, small_tree: Path) -> None:
    (small_tree / "proxy" / "core").mkdir()
    (small_tree / "proxy" / "core" / "table.py").write_text("import asyncio\nfrom proxy.core import other\n")
    (small_tree / "proxy" / "app.py").write_text("from proxy.core.table import Table\nfrom proxy import NAME\n")
    assert drawing.part_edges(drawing.all_imports(small_tree), "proxy", small_tree) == {("app", "core")}


def test_imports_for_annotations_only_are_not_drawn(drawing: ModuleType, small_tree: Path) -> None:
    (small_tree / "proxy" / "app.py").write_text("if TYPE_CHECKING:\n    import hsm_wire.frames\n")
    assert drawing.all_imports(small_tree) == []


def test_a_document_without_the_place_is_refused(drawing: ModuleType) -> None:
    with pytest.raises(SystemExit, match="drawn: packages"):
        drawing.redraw("no markers", {"packages": []})


def test_drawing_twice_changes_nothing(drawing: ModuleType) -> None:
    once = drawing.redraw("a\n<!-- drawn: x -->\n<!-- end -->\nb\n", {"x": ["one"]})
    assert drawing.redraw(once, {"x": ["one"]}) == once == "a\n<!-- drawn: x -->\none\n<!-- end -->\nb\n"
