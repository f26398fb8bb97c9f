"""Columns lined up, and which go first where there is no room."""

from rich.text import Text

from hsmctl.overview.grid import Column, Grid

COLUMNS = (Column("NAME"), Column("N", right=True), Column("MORE", rank=1), Column("LEAST", rank=2))
ROWS = [[Text("a"), Text("1"), Text("x"), Text("y")], [Text("longer"), Text("22"), Text("x"), Text("y")]]


def lines(width: int) -> list[str]:
    grid = Grid(COLUMNS, ROWS, width)
    return [line.plain.rstrip() for line in (grid.head(), *map(grid.line, ROWS))]


def test_cells_are_lined_up_left_or_right() -> None:
    assert lines(80) == ["NAME     N  MORE  LEAST", "a        1  x     y", "longer  22  x     y"]


def test_what_matters_least_goes_first_and_what_matters_stays() -> None:
    assert lines(20)[0] == "NAME     N  MORE"
    assert lines(12)[0] == "NAME     N"
    assert lines(3)[0] == "NAME     N"
