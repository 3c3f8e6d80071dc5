"""An aircraft's properties, and its departures and delays of the last week."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view
from amora_fs_assets.features import entities, sources
from amora_fs_assets.features.hours import hour_end, trailing

WEEK = 7 * 24


class AircraftHistory(FeatureSchema):
    """One row per aircraft and hour in which it left New York City, at the hour's end."""

    tailnum: str = Field(description="Aircraft.")
    aircraft_departures_7d: int = Field(ge=1, description="Departures from New York City, last 7 days [count].")
    aircraft_delay_7d: float = Field(ge=-120, le=2_000, description="Mean departure delay, last 7 days [min].")
    seats: int = Field(
        ge=1, le=900, nullable=True, description="Seats [count]; null if the aircraft is not registered."
    )
    built: int = Field(ge=1930, le=2013, nullable=True, description="Year of manufacture; null if unknown.")


@feature_view(
    schema=AircraftHistory,
    entities=[entities.aircraft],
    sources=[sources.flights, sources.planes],
    ttl=timedelta(days=30),
    partitions="month",
    start="2013-01-01",
    lookback=timedelta(days=7),
    owner="fleet@example.com",
    tags={"domain": "fleet"},
)
def aircraft_history(flights: Table, planes: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull(), flights.tailnum.notnull())
    hourly = departed.group_by("tailnum", event_timestamp=hour_end(departed.departed_at)).aggregate(
        n=departed.count(), delay=departed.dep_delay.sum()
    )
    n = trailing(hourly, hourly.n, hours=WEEK, keys=["tailnum"])
    delay = trailing(hourly, hourly.delay, hours=WEEK, keys=["tailnum"])
    history = hourly.select("tailnum", "event_timestamp", aircraft_departures_7d=n, aircraft_delay_7d=delay / n)
    register = planes.select("tailnum", "seats", built=planes.year)
    return history.left_join(register, "tailnum").drop("tailnum_right")
