"""Every module is small and has a test file of its own name."""

import ast
from pathlib import Path

MAX_LINES = 400  # of a module: beyond that it does two things

EXCEPTIONS = Path(__file__).with_name("modules_without_a_test.txt")
WITHOUT_LOGIC = ("__init__.py", "__main__.py", "cli.py")


def _test_of(module: Path) -> Path:
    return Path("tests") / module.parent / f"test_{module.name}"


def _excepted() -> set[str]:
    return {line for line in EXCEPTIONS.read_text().splitlines() if line and not line.startswith("#")}


def _without_test(root: Path, modules: list[Path]) -> set[str]:
    named = [module for module in modules if module.name not in WITHOUT_LOGIC]
    return {module.as_posix() for module in named if not (root / _test_of(module)).exists()}


def test_every_module_has_a_test_file_of_its_name(root: Path, modules: list[Path]) -> None:
    assert sorted(_without_test(root, modules) - _excepted()) == []


def test_the_list_of_exceptions_only_gets_shorter(root: Path, modules: list[Path]) -> None:
    assert sorted(_excepted() - _without_test(root, modules)) == []


def test_no_module_is_longer_than_it_should_be(root: Path, modules: list[Path]) -> None:
    lengths = {str(module): len((root / module).read_text().splitlines()) for module in modules}
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_every_module_says_what_it_is(root: Path, modules: list[Path]) -> None:
    texts = {module: (root / module).read_text() for module in modules}
    silent = [str(module) for module, text in texts.items() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert silent == []


def test_the_test_tree_has_no_packages(root: Path) -> None:
    assert list((root / "tests").rglob("__init__.py")) == []
