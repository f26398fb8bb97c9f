"""Distances between sites."""

import math

EARTH_RADIUS_KM = 6371.0088
"""Mean radius (IUGG)."""


def great_circle_km(latitude_1: float, longitude_1: float, latitude_2: float, longitude_2: float) -> float:
    """Return the distance of two points given in degrees, in km, by the haversine formula."""
    phi_1, phi_2 = math.radians(latitude_1), math.radians(latitude_2)
    half_phi = (phi_2 - phi_1) / 2
    half_lambda = math.radians(longitude_2 - longitude_1) / 2
    h = math.sin(half_phi) ** 2 + math.cos(phi_1) * math.cos(phi_2) * math.sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(h)))
