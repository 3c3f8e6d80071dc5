"""The weather at an airport of departure."""

from datetime import timedelta

import ibis
from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view, known_at
from amora_fs_assets.features import entities, sources

FASTEST_WIND = 200.0
"""Faster wind is an error of the instrument [mph]: 1,048 at EWR on 2013-02-12."""


class AirportWeather(FeatureSchema):
    """One row per airport and hour, when the observation became known: an hour after it began."""

    airport: str = Field(description="Airport.")
    temperature: float = Field(ge=-60, le=130, nullable=True, description="Temperature [F].")
    humidity: float = Field(ge=0, le=100, nullable=True, description="Relative humidity [%].")
    wind_speed: float = Field(ge=0, le=FASTEST_WIND, nullable=True, description="Wind speed [mph].")
    precipitation: float = Field(ge=0, le=20, nullable=True, description="Precipitation in the hour [in].")
    visibility: float = Field(ge=0, le=10, nullable=True, description="Visibility [mi].")


@feature_view(
    schema=AirportWeather,
    entities=[entities.airport],
    sources=[sources.weather],
    ttl=timedelta(days=2),
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "weather"},
)
def airport_weather(weather: Table) -> Table:
    plausible = weather.wind_speed <= FASTEST_WIND
    return weather.select(
        "airport",
        event_timestamp=known_at(weather),
        temperature=weather.temp,
        humidity=weather.humid,
        wind_speed=plausible.ifelse(weather.wind_speed, ibis.null("float64")),
        precipitation=weather.precip,
        visibility=weather.visib,
    )
