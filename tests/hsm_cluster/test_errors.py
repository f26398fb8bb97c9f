"""Configuration errors."""

from hsm_cluster.errors import ConfigurationError


def test_the_error_is_its_one_line() -> None:
    assert str(ConfigurationError("cluster.toml: add a node")) == "cluster.toml: add a node"


def test_what_would_break_the_line_is_shown_escaped() -> None:
    assert str(ConfigurationError("key a\nb \x1b[2J \u2028")) == "key a\\nb \\x1b[2J \\u2028"
