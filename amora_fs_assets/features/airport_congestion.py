"""Departures and delays at an airport of departure over the last day."""

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Interval, Windowed, feature_view, rolling
from amora_fs_assets.features import entities, sources
from amora_fs_assets.windows import Windows, count, mean

WINDOWS = Windows("1h", "3h", "24h", at="1h")


class AirportCongestion(FeatureSchema, windows=WINDOWS):
    """One row per airport and full hour at which a window changed."""

    airport: str = Field(description="Airport of departure.")
    airport_departures: Windowed[int] = Field(ge=0, description="Departures, last {window} [count].")
    airport_delay: Windowed[float] = Field(
        ge=-120, le=2_000, nullable=True, description="Mean departure delay, last {window} [min]."
    )


@feature_view(
    schema=AirportCongestion,
    entities=[entities.airport],
    sources=[sources.flights],
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "operations"},
)
def airport_congestion(flights: Table, interval: Interval) -> Table:
    return rolling(
        flights.filter(flights.departed_at.notnull()).rename(airport="origin"),
        WINDOWS,
        by="airport",
        time="happened_at",
        interval=interval,
        airport_departures=count(),
        airport_delay=mean("dep_delay"),
    )
