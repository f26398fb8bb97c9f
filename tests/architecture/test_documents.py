"""What the documents tell a reader to type exists."""

import re
from pathlib import Path

import click

from hsmctl.cli import main as hsmctl

COMMAND = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?hsmctl ([^\n]*)$", re.MULTILINE)
TARGET = re.compile(r"\bmake ([a-z-]+)\b(?=[ `\n])")
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _documents(root: Path) -> list[Path]:
    return [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").rglob("*.md"))]


def _blocks(root: Path, language: str) -> list[str]:
    return [
        text
        for path in _documents(root)
        for name, text in FENCED.findall(path.read_text(encoding="utf-8"))
        if name == language
    ]


def _options_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Walk down the groups; return the command and the options given to it."""
    command: click.Command = hsmctl
    while words and isinstance(command, click.Group) and not words[0].startswith("-"):
        found = command.commands.get(words[0])
        assert found is not None, f"hsmctl has no command {words[0]!r}"
        command, words = found, words[1:]
    return command, [word for word in words if re.fullmatch(r"--[a-z-]+", word)]


def test_every_hsmctl_command_in_the_documents_exists_with_its_options(root: Path) -> None:
    lines = [line for block in _blocks(root, "sh") for line in COMMAND.findall(block)]
    assert lines, "the README shows how to use hsmctl"
    for line in lines:
        command, options = _options_of(line.split())
        known = {name for parameter in command.params for name in parameter.opts}
        assert set(options) <= known | {"--help"}, f"hsmctl {line}"


def test_every_make_target_in_the_documents_exists(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    quoted = re.compile(r"`make ([a-z-]+)")
    named = {name for path in _documents(root) for name in quoted.findall(path.read_text(encoding="utf-8"))}
    named |= {name for block in _blocks(root, "sh") for name in TARGET.findall(block)}
    assert {"run", "test"} <= named
    assert named - targets == set()


def test_the_python_example_in_the_readme_compiles_and_its_imports_exist(root: Path) -> None:
    fenced = FENCED.findall((root / "README.md").read_text(encoding="utf-8"))
    examples = [code for language, code in fenced if language == "python"]
    assert examples
    for code in examples:
        compile(code, "README.md", "exec")
        exec("\n".join(line for line in code.splitlines() if line.startswith(("from ", "import "))), {})
