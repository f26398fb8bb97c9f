"""Every how-to guide does what it says, literally, on a cluster that is in use: no client's request fails meanwhile."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from load import Load
from programs import free_port
from terminals import Terminals

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "how-to"
START = """<!-- first terminal -->
```sh
.venv/bin/hsmctl dev
```
```text
…
Ctrl-C stops everything.
```
"""
ELSEWHERE = frozenset({"growth.md", "index.md", "lose-a-data-centre.md", "move-to-etcd.md", "store.md"})
"""What of a guide is for data centres, `test_growth` and `test_lost_data_centre` follow. A move has the nodes stopped,
so requests do fail: `test_store_migration`. Each section of the store's guide is the way out of a trouble that somebody
has to make first: `test_etcd_troubles` does."""
KEY = """```sh
hsmctl key generate --type ec-p256 --label load --json > load.json
```
"""
FIXED_ADDRESS = re.compile(r"127\.0\.0\.\d:[29]42\d")
"""What a guide writes for a new node; here any free port, since tests run beside other programs."""


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """A reader's terminals, with a cluster that was started as the first page says."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HSM_")}
    opened = Terminals(tmp_path, tmp_path, environment)
    try:
        opened.follow(START)
        opened.follow((GUIDES / "index.md").read_text(encoding="utf-8"))
        opened.follow(KEY)
        yield opened
    finally:
        opened.close()


def page_of(name: str) -> str:
    """Return the guide, with addresses that are free."""
    ports: dict[str, str] = {}
    page = (GUIDES / name).read_text(encoding="utf-8")
    return FIXED_ADDRESS.sub(lambda found: ports.setdefault(found[0], f"127.0.0.1:{free_port()}"), page)


def names_of_guides() -> list[str]:
    """Return the guides that have something to type."""
    return sorted(p.name for p in GUIDES.glob("*.md") if p.name not in ELSEWHERE and "```sh" in p.read_text("utf-8"))


@pytest.mark.parametrize("name", names_of_guides())
def test_the_guide_does_what_it_says_and_no_request_fails(name: str, terminals: Terminals, tmp_path: Path) -> None:
    folder = tmp_path / "redoubt-dev"
    key_id = bytes.fromhex(json.loads((folder / "load.json").read_text())["id"])
    with Load(folder / "client.toml", clients=4, rate=20.0, key_id=key_id, verify=False) as load:
        terminals.follow(page_of(name))
    assert load.failed == {}
    assert load.latencies, "no request came while the guide was followed"
