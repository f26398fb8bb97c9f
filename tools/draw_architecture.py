"""Draws the pictures of docs/architecture.md from the imports of the code.

    python tools/draw_architecture.py           write them into the document
    python tools/draw_architecture.py --check   exit 1 when the document shows something else

Only real imports count, read from the syntax tree; imports under TYPE_CHECKING are for annotations and left out.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "architecture.md"
PACKAGES = ("hsm_wire", "hsm_cluster", "hsm_daemon", "hsm_client", "proxy", "hsm_node", "hsmctl")
DAEMONS = ("proxy", "hsm_node")

Edges = set[tuple[str, str]]


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the absolute names that a tree imports; `from a import b` yields `a.b`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif not _is_type_checking(child):
            yield from _imports(child)


def all_imports(root: Path) -> list[tuple[str, str]]:
    """Return (module, imported name) for every import in our packages."""
    pairs = []
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            tree = ast.parse(path.read_text(encoding="utf-8"))
            pairs += [(module, name) for name in _imports(tree)]
    return pairs


def package_edges(pairs: list[tuple[str, str]]) -> Edges:
    """Return which top-level package imports which."""
    tops = {(module.split(".")[0], name.split(".")[0]) for module, name in pairs}
    return {(source, target) for source, target in tops if source != target and target in PACKAGES}


def part_edges(pairs: list[tuple[str, str]], package: str, root: Path) -> Edges:
    """Return which part (module or folder) of a package imports which."""
    parts = {path.stem for path in (root / package).iterdir() if path.suffix == ".py" or path.is_dir()}
    edges = set()
    for module, name in pairs:
        source, target = module.split("."), name.split(".")
        if source[0] == target[0] == package and len(source) > 1 and len(target) > 1 and target[1] in parts:
            edges.add((source[1], target[1]))
    return {(source, target) for source, target in edges if source != target}


def _mermaid(edges: Edges) -> list[str]:
    return ["```mermaid", "graph TD", *(f"    {source} --> {target}" for source, target in sorted(edges)), "```"]


def pictures(root: Path) -> dict[str, list[str]]:
    """Return every picture by the name of its place in the document."""
    pairs = all_imports(root)
    drawn = {"packages": _mermaid(package_edges(pairs))}
    return drawn | {name: _mermaid(part_edges(pairs, name, root)) for name in DAEMONS}


def redraw(text: str, drawn: dict[str, list[str]]) -> str:
    """Return the document with each picture between its two markers."""
    for name, lines in drawn.items():
        begin, end = f"<!-- drawn: {name} -->", "<!-- end -->"
        before, found, rest = text.partition(begin)
        if not found:
            raise SystemExit(f"{DOCUMENT.name} has no place {begin}")
        text = "\n".join([before + begin, *lines, end]) + rest.partition(end)[2]
    return text


def main() -> None:
    """Draw, or check what is drawn."""
    text = DOCUMENT.read_text(encoding="utf-8")
    wanted = redraw(text, pictures(ROOT))
    if "--check" in sys.argv[1:]:
        if text != wanted:
            raise SystemExit("docs/architecture.md shows other imports than the code has; run make draw")
        return
    DOCUMENT.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()
