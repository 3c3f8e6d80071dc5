"""Departures and delays at an airport of departure over the last day."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view
from amora_fs_assets.features import entities, sources
from amora_fs_assets.features.hours import hour_end, trailing


class AirportCongestion(FeatureSchema):
    """One row per airport and hour in which it had departures, at the hour's end."""

    airport: str = Field(description="Airport of departure.")
    departures_3h: int = Field(ge=1, description="Departures, last 3 hours [count].")
    departures_24h: int = Field(ge=1, description="Departures, last 24 hours [count].")
    delay_3h: float = Field(ge=-120, le=2_000, description="Mean departure delay, last 3 hours [min].")
    delay_24h: float = Field(ge=-120, le=2_000, description="Mean departure delay, last 24 hours [min].")


@feature_view(
    schema=AirportCongestion,
    entities=[entities.airport],
    sources=[sources.flights],
    ttl=timedelta(days=2),
    partitions="month",
    start="2013-01-01",
    lookback=timedelta(hours=24),
    owner="network@example.com",
    tags={"domain": "operations"},
)
def airport_congestion(flights: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull())
    hourly = departed.group_by(airport=departed.origin, event_timestamp=hour_end(departed.departed_at)).aggregate(
        n=departed.count(), delay=departed.dep_delay.sum()
    )
    n3, n24 = (trailing(hourly, hourly.n, hours=hours, keys=["airport"]) for hours in (3, 24))
    delay3, delay24 = (trailing(hourly, hourly.delay, hours=hours, keys=["airport"]) for hours in (3, 24))
    return hourly.select(
        "airport",
        "event_timestamp",
        departures_3h=n3,
        departures_24h=n24,
        delay_3h=delay3 / n3,
        delay_24h=delay24 / n24,
    )
