"""Configuration errors."""

from hsm_cluster.errors import ConfigurationError


def test_the_error_is_its_one_line() -> None:
    assert str(ConfigurationError("cluster.toml: add a node")) == "cluster.toml: add a node"
