"""The site of the documentation builds, and a warning is an error: `make docs`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 300.0


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"),
            *("-d", str(tmp_path / "state"), str(ROOT / "docs"), str(tmp_path / "site")),
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
