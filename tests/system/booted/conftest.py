"""One booted machine for all tests here, with a cluster that systemd runs."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from administrator import configure, start
from debian import install, only_one
from machine import Machine, booted


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine on which an administrator did what docs/systemd.md says."""
    lacking = [name for name in ("systemd-nspawn", "debootstrap", "nsenter") if shutil.which(name) is None]
    if os.geteuid() != 0 or lacking:
        pytest.skip(f"to boot a machine takes root{''.join(f', and {name}' for name in lacking)}")
    folder = tmp_path_factory.mktemp("booted")
    with only_one():
        install(folder / "machine", folder / "wheels")
        configure(folder / "machine")
        try:
            with booted(folder / "machine") as made:
                start(made)
                yield made
        finally:
            shutil.rmtree(folder / "machine")
