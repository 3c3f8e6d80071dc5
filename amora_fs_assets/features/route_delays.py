"""Delays of departures on a route over the last week."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view
from amora_fs_assets.features import entities, sources
from amora_fs_assets.features.hours import hour_end, trailing

WEEK = 7 * 24


class RouteDelays(FeatureSchema):
    """One row per route and hour in which it had departures, at the hour's end."""

    origin: str = Field(description="Airport of departure.")
    dest: str = Field(description="Airport of arrival.")
    route_departures_7d: int = Field(ge=1, description="Departures, last 7 days [count].")
    route_delay_7d: float = Field(ge=-120, le=2_000, description="Mean departure delay, last 7 days [min].")
    route_distance: float = Field(gt=0, description="Distance [mi].")


@feature_view(
    schema=RouteDelays,
    entities=[entities.route],
    sources=[sources.flights],
    ttl=timedelta(days=14),
    partitions="month",
    start="2013-01-01",
    lookback=timedelta(days=7),
    owner="network@example.com",
    tags={"domain": "operations"},
)
def route_delays(flights: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull())
    hourly = departed.group_by("origin", "dest", event_timestamp=hour_end(departed.departed_at)).aggregate(
        n=departed.count(), delay=departed.dep_delay.sum(), distance=departed.distance.max()
    )
    n = trailing(hourly, hourly.n, hours=WEEK, keys=["origin", "dest"])
    delay = trailing(hourly, hourly.delay, hours=WEEK, keys=["origin", "dest"])
    return hourly.select(
        "origin",
        "dest",
        "event_timestamp",
        route_departures_7d=n,
        route_delay_7d=delay / n,
        route_distance=hourly.distance,
    )
