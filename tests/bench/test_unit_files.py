"""What the systemd units allow is read from them."""

import pytest

from bench import unit_files


def test_limits_of_the_units_are_numbers() -> None:
    assert unit_files.limit(unit_files.PROXY, "LimitNOFILE") > unit_files.limit(unit_files.NODE, "LimitNOFILE") > 1_000
    assert unit_files.limit(unit_files.STORE, "TasksMax") > 0


def test_what_a_unit_does_not_limit_by_a_number_is_an_error() -> None:
    with pytest.raises(LookupError, match="LimitMEMLOCK"):
        unit_files.limit(unit_files.NODE, "LimitMEMLOCK")
