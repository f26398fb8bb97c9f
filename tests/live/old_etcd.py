"""The etcd of Debian 12, which nodes refuse: fetched beside the newer one, of which it is out of support."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from hsmctl.dev.etcd_program import cache_folder, debian_source, fetch, version_of

SUITE: Final = "bookworm"
VERSION: Final = (3, 4, 23)


def get_old_etcd() -> Path:
    """Return it, downloaded if need be."""
    folder = cache_folder().with_name("etcd-3.4")
    program = folder / "usr" / "bin" / "etcd"
    if version_of(program) != VERSION:
        source = debian_source(Path("/"), SUITE)
        if source is None:
            pytest.skip("there is no source of Debian to fetch etcd 3.4.23 from")
        try:
            fetch(source, folder)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"etcd 3.4.23 could not be fetched from Debian ({type(error).__name__})")
    assert version_of(program) == VERSION
    return program
