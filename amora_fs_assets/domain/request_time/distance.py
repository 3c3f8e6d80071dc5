"""The distance of two places on the Earth."""

from __future__ import annotations

from typing import cast

import ibis
from ibis.expr.types import FloatingValue, NumericValue

_DIAMETER = 2 * 6371.0088  # of a sphere with the Earth's mean radius [km]


def distance_km(
    latitude: NumericValue, longitude: NumericValue, other_latitude: NumericValue, other_longitude: NumericValue
) -> FloatingValue:
    """The great-circle distance of two places [km], by the haversine formula on a sphere: within 0.6% of the ellipsoid.

    Takes degrees, as columns or numbers. Null for a null. For feature views and for on-demand feature views.
    """
    places = [
        ibis.literal(float(value)) if isinstance(value, int | float) else value.cast("float64")
        for value in (latitude, longitude, other_latitude, other_longitude)
    ]
    one, east, other, other_east = (value.radians() for value in places)
    north, along = ((other - one) / 2).sin(), ((other_east - east) / 2).sin()
    half = north * north + one.cos() * other.cos() * along * along
    return cast("FloatingValue", half.clip(0.0, 1.0).sqrt().asin() * _DIAMETER)
