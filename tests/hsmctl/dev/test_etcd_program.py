"""Where etcd is found, and how it would be fetched. Nothing here uses the network."""

from pathlib import Path

import pytest

from hsmctl.dev import etcd_program
from hsmctl.dev.etcd_program import cache_folder, debian_source, find_etcd, get_etcd, version_of
from hsmctl.failures import CommandError

DEB822 = """# a comment
Types: deb
URIs: http://deb.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/other.gpg

Types: deb
URIs: http://deb.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without etcd, apt and cache: its PATH is that folder."""
    path = tmp_path / "path"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return path


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def saying(version: str) -> str:
    return f'echo "etcd Version: {version}"; echo "Git SHA: none"'


def test_a_suitable_program_on_the_path_comes_first(nothing: Path) -> None:
    there = program(nothing / "etcd", saying("3.6.1"))
    program(cache_folder() / "usr" / "bin" / "etcd", saying("3.5.30"))
    assert find_etcd() == get_etcd() == there


def test_an_older_one_on_the_path_is_passed_over_for_the_cached_one(nothing: Path) -> None:
    program(nothing / "etcd", saying("3.4.23"))
    assert find_etcd() is None
    cached = program(cache_folder() / "usr" / "bin" / "etcd", saying("3.5.30"))
    assert find_etcd() == get_etcd() == cached


def test_what_does_not_say_a_version_has_none(tmp_path: Path) -> None:
    assert version_of(tmp_path / "missing") == ()
    assert version_of(program(tmp_path / "a", "echo nonsense")) == ()
    assert version_of(program(tmp_path / "b", "exit 3")) == ()
    assert version_of(program(tmp_path / "c", saying("3.5.30"))) == (3, 5, 30)


def test_where_it_cannot_be_fetched_one_line_says_how_to_get_it(nothing: Path) -> None:
    with pytest.raises(CommandError, match=r"none is fetched without apt-get; install etcd 3\.5\.30 or newer"):
        get_etcd()


def test_a_download_that_fails_says_why_and_leaves_nothing(nothing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(nothing / "dpkg-deb", "exit 0")
    program(nothing / "apt-get", "echo 'E: Unable to fetch' >&2; exit 100")
    monkeypatch.setattr(etcd_program, "debian_source", lambda _root: "Types: deb\n")
    with pytest.raises(CommandError, match="could not be fetched .E: Unable to fetch.; install"):
        get_etcd()
    assert list(cache_folder().parent.iterdir()) == []


def test_the_source_is_the_machines_own_with_another_suite(tmp_path: Path) -> None:
    folder = tmp_path / "etc" / "apt" / "sources.list.d"
    folder.mkdir(parents=True)
    (folder / "a.sources.disabled").write_text(DEB822)
    assert debian_source(tmp_path) is None
    (folder / "debian.sources").write_text(DEB822)
    assert debian_source(tmp_path) == (
        "Types: deb\nURIs: http://deb.example/debian\nSuites: sid\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_sources_of_one_line_count_too(tmp_path: Path) -> None:
    (tmp_path / "etc" / "apt").mkdir(parents=True)
    (tmp_path / "etc" / "apt" / "sources.list").write_text(
        "# deb http://old.example/debian etch main\n"
        "deb http://deb.example/debian-security bookworm-security main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://deb.example/debian/ bookworm main\n"
    )
    source = debian_source(tmp_path)
    assert source is not None
    assert "URIs: http://deb.example/debian/\n" in source
    assert source.endswith("Signed-By: /k.gpg\n")


def test_no_other_distribution_is_taken_for_debian(tmp_path: Path) -> None:
    (tmp_path / "etc" / "apt").mkdir(parents=True)
    (tmp_path / "etc" / "apt" / "sources.list").write_text("deb http://archive.example/ubuntu noble main\n")
    assert debian_source(tmp_path) is None
