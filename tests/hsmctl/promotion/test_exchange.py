"""Two folders in each other's place."""

from pathlib import Path

import pytest

from hsmctl.promotion.exchange import exchange


def test_each_has_the_name_of_the_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        (folder / folder.name).touch()
    exchange(one, other)
    assert ((one / "other").exists(), (other / "one").exists()) == (True, True)


def test_where_one_is_not_there_nothing_is_done(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match="other"):
        exchange(tmp_path / "one", tmp_path / "other")
    assert (tmp_path / "one").exists()
