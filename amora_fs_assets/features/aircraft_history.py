"""An aircraft's last departure from New York City, and its properties: a view written by hand."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Timestamp, feature_view
from amora_fs_assets.features import entities, sources


class AircraftHistory(FeatureSchema):
    """One row per departure of an aircraft from New York City."""

    tailnum: str = Field(description="Aircraft.")
    last_departed_at: Timestamp = Field(description="Time of the departure.")
    last_delay: float = Field(ge=-120, le=2_000, description="Delay of the departure [min].")
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
    owner="fleet@example.com",
    tags={"domain": "fleet"},
)
def aircraft_history(flights: Table, planes: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull(), flights.tailnum.notnull())
    legs = departed.group_by("tailnum", event_timestamp=departed.departed_at).aggregate(
        last_departed_at=departed.departed_at.max(), last_delay=departed.dep_delay.max()
    )
    register = planes.select("tailnum", "seats", built=planes.year)
    return legs.left_join(register, "tailnum").drop("tailnum_right")
