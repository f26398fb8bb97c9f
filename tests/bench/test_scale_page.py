"""The page about scale is what is made of the figures that are kept."""

import re
from pathlib import Path

import pytest

from bench import costs, kept, scale_page


def test_the_page_is_made_of_what_is_kept(tmp_path: Path) -> None:
    page = tmp_path / "scale.md"
    page.write_text(scale_page.PAGE.read_text())
    scale_page.write(page)
    assert page.read_text() == scale_page.PAGE.read_text(), "make it with: python -m bench.capacity --write"


def test_every_table_has_its_place_on_the_page() -> None:
    places = re.findall(r"<!-- made: (\w+) -->", scale_page.PAGE.read_text())
    assert sorted(places) == sorted(scale_page.blocks(costs.load(), []))


@pytest.mark.parametrize("name", ["study", "storms", "check"])
def test_without_rows_a_table_is_empty(name: str) -> None:
    assert scale_page.blocks(costs.load(), [])[name]().startswith("| ")


def test_the_ratio_says_how_far_the_model_is_from_what_was_measured() -> None:
    row = {"study": "check", "mode": "files", "predicted": 10.0, "measured": 12.0, "unit": "", "day": "2026-12-01"}
    assert "| files | 10 | 12 | 1.20 |" in scale_page.check([row])


def test_what_is_kept_has_no_row_that_the_page_does_not_know() -> None:
    studies = {row["study"] for row in kept.load(costs.SCALE).rows}
    assert studies == {"figure", "check", "simulation", "storm"}
