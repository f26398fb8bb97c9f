"""The site of the documentation builds, and a warning is an error: `make docs`."""

import re
import subprocess
import sys
from pathlib import Path

LIMIT_S = 120.0
LOCKED = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def test_the_site_builds_without_a_warning(root: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(tmp_path / "state"), str(root / "docs"), str(tmp_path / "site")),
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert "No module named sphinx" not in done.stderr, "run make setup-docs first"
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "site" / "reference" / "configuration.html").read_text(encoding="utf-8")
    assert "identity_clients" in page
    assert (tmp_path / "site" / "tutorial" / "index.html").exists()


def test_what_the_site_needs_fits_what_the_checks_need(root: Path) -> None:
    dev, docs = (dict(LOCKED.findall((root / f"requirements-{name}.lock").read_text())) for name in ("dev", "docs"))
    assert "sphinx" in docs
    assert {name: (dev[name], docs[name]) for name in dev.keys() & docs.keys() if dev[name] != docs[name]} == {}
