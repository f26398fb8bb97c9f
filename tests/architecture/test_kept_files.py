"""What must not be in the repository, and what must."""

import re
from pathlib import Path

import pytest

# Built from parts, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"(?<![\w.~])/(?:" + "|".join(["work", "root", "home/[a-z]", "opt/(?:pypi|wheels)"]) + r")/")
REGISTRY_HOSTS = re.compile("|".join([r"files\.python" + "hosted", r"pypi\." + "org/simple", "extra-" + "index-url"]))
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def _found(files: list[Path], root: Path, pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(root)}:{number}: {match[0]}"
        for path in files
        if path.name != "LICENSE"
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        for match in [pattern.search(line)]
        if match
    ]


def test_no_file_names_a_path_of_somebodys_machine(kept_files: list[Path], root: Path) -> None:
    assert _found(kept_files, root, MACHINE_PATHS) == []


def test_no_file_names_a_package_registry(kept_files: list[Path], root: Path) -> None:
    assert _found(kept_files, root, REGISTRY_HOSTS) == []


def test_links_between_documents_lead_somewhere(kept_files: list[Path], root: Path) -> None:
    documents = [path for path in kept_files if path.suffix == ".md"]
    dead = [
        f"{path.relative_to(root)}: {target}"
        for path in documents
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if not (path.parent / target).exists()
    ]
    assert dead == []


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock", "requirements-docs.lock"])
def test_every_package_in_a_lock_file_has_a_version_and_hashes(root: Path, name: str) -> None:
    text = (root / name).read_text()
    entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", text))
    assert len(entries) > 5
    for entry in entries:
        assert re.match(r"[a-z0-9.-]+==[^ ]+ ", entry), entry[:80]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry[:80]


def test_both_lock_files_agree(root: Path) -> None:
    run, dev = (
        set(re.findall(r"^[a-z0-9.-]+==[^ ]+", (root / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert run <= dev


def test_every_dependency_has_its_reason(root: Path) -> None:
    reasons = (root / "docs" / "dependencies.md").read_text()
    declared = re.findall(r'^    "([a-z0-9-]+)[\[>]', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared
    assert [name for name in declared if name not in reasons] == []


def test_every_decision_is_in_the_index(root: Path) -> None:
    folder = root / "docs" / "adr"
    index = (folder / "README.md").read_text()
    assert [path.name for path in sorted(folder.glob("0*.md")) if f"]({path.name})" not in index] == []
