"""Delays of departures on a route over the last week and the last 30 days, once a day."""

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Interval, Windowed, feature_view, rolling
from amora_fs_assets.features import entities, sources
from amora_fs_assets.windows import Windows, count, mean

WINDOWS = Windows("7d", "30d", at="24h")


class RouteDelays(FeatureSchema, windows=WINDOWS):
    """One row per route and midnight (UTC) at which a window changed."""

    origin: str = Field(description="Airport of departure.")
    dest: str = Field(description="Airport of arrival.")
    route_departures: Windowed[int] = Field(ge=0, description="Departures, last {window} [count].")
    route_delay: Windowed[float] = Field(
        ge=-120, le=2_000, nullable=True, description="Mean departure delay, last {window} [min]."
    )


@feature_view(
    schema=RouteDelays,
    entities=[entities.route],
    sources=[sources.flights],
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "operations"},
)
def route_delays(flights: Table, interval: Interval) -> Table:
    return rolling(
        flights.filter(flights.departed_at.notnull()),
        WINDOWS,
        by=["origin", "dest"],
        time="happened_at",
        interval=interval,
        route_departures=count(),
        route_delay=mean("dep_delay"),
    )
