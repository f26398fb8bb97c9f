"""The page that has a newcomer lose a data centre and bring it back, typed as it stands."""

import os
from pathlib import Path

from process_table import end_all_of
from terminals import Terminals

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "lose-a-data-centre.md"


def test_the_page_is_typed_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HSM_", "ETCD"))}
    terminals = Terminals(tmp_path, tmp_path, environment)
    try:
        terminals.follow(PAGE.read_text(encoding="utf-8"))
    finally:
        terminals.close()
        end_all_of(tmp_path / "redoubt-dev")
    for name in ("before", "during", "new"):
        assert (tmp_path / "redoubt-dev" / f"{name}.sig").stat().st_size > 60, name
