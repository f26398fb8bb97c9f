"""Tables in Markdown, and the pages that they are a part of."""

from bench.tables import figure, filled, table


def test_a_table_has_a_head_a_rule_and_its_lines() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_figure_that_is_not_there_is_a_dash() -> None:
    assert figure(None) == "-"
    assert figure(1234.567, 1) == "1,234.6"


def test_only_what_is_made_is_made_anew() -> None:
    text = "before\n<!-- made: one -->\nold\n<!-- end -->\nafter\n"
    assert filled(text, {"one": lambda: "new"}) == "before\n<!-- made: one -->\nnew\n<!-- end -->\nafter\n"
