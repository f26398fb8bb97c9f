"""Which version of this software runs."""

import importlib.metadata
from typing import NoReturn

import pytest

import hsm_node
from hsm_daemon import release


def test_the_release_is_that_of_the_package_for_both_daemons() -> None:
    assert release.release() == importlib.metadata.version("redoubt")
    assert release.release() in hsm_node.SOFTWARE


def test_a_tree_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(release, "version", missing)
    assert release.release() == "unknown"
