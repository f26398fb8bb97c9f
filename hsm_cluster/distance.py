"""How far apart two places are."""

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS_KM = 6371.0088  # mean radius (IUGG); the error against the ellipsoid is below 0.6 %


def great_circle_km(latitude_a: float, longitude_a: float, latitude_b: float, longitude_b: float) -> float:
    """Return the distance over the surface in km, by the haversine formula (exact for small distances, too)."""
    phi_a, phi_b = radians(latitude_a), radians(latitude_b)
    across = sin((phi_b - phi_a) / 2) ** 2
    along = sin(radians(longitude_b - longitude_a) / 2) ** 2
    # Rounding may lift the sum a hair above 1 for antipodes.
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, across + cos(phi_a) * cos(phi_b) * along)))
