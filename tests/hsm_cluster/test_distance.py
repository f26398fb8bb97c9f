"""Distances between known places."""

import pytest

from hsm_cluster.distance import EARTH_RADIUS_KM, great_circle_km


def test_zurich_and_geneva_are_224_km_apart() -> None:
    assert great_circle_km(47.3769, 8.5417, 46.2044, 6.1432) == pytest.approx(224, abs=1)


def test_the_antipode_is_half_a_circumference_away() -> None:
    assert great_circle_km(10, 20, -10, -160) == pytest.approx(EARTH_RADIUS_KM * 3.14159265, rel=1e-6)


def test_the_date_line_is_no_border() -> None:
    assert great_circle_km(0, 179.9, 0, -179.9) == pytest.approx(22.24, abs=0.01)
    assert great_circle_km(1, 2, 1, 2) == 0
