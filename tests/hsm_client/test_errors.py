"""Typed errors."""

import pytest

from hsm_client import errors
from hsm_wire.statuses import STATUS_TABLE, StatusClass, status_class


@pytest.mark.parametrize("status", [s for s in STATUS_TABLE if status_class(s) != StatusClass.OK])
def test_every_failed_status_has_a_class_and_a_text(status):
    error = errors.make_error(status, "")
    assert type(error) is errors.ERROR_BY_STATUS[status]
    assert error.status_name == status.name
    assert str(error)


def test_a_status_of_a_newer_cluster_falls_back_to_its_class():
    assert type(errors.make_error(0x03FF, "new")) is errors.KeyOrDataError
