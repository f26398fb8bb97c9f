"""What the site of the documentation is made with. That it builds is tried by `make test-system`: it takes too long."""

import re
from pathlib import Path

LOCKED = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def test_what_the_site_needs_fits_what_the_checks_need(root: Path) -> None:
    dev, docs = (dict(LOCKED.findall((root / f"requirements-{name}.lock").read_text())) for name in ("dev", "docs"))
    assert "sphinx" in docs
    assert {name: (dev[name], docs[name]) for name in dev.keys() & docs.keys() if dev[name] != docs[name]} == {}
