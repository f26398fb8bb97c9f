"""The forms of cluster.toml."""

import msgspec
import pytest

from hsm_cluster.topology import Grant, Site


def test_forms_refuse_unknown_keys_and_cannot_change() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"name": "a", "colour": "red"}, Site)
    with pytest.raises(AttributeError):
        Grant("a").identity = "b"  # type: ignore[misc] - that is the test
