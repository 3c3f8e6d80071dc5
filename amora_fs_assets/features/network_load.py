"""Departures and delays of all New York City airports together over the last day."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view
from amora_fs_assets.features import sources
from amora_fs_assets.features.hours import hour_end, trailing


class NetworkLoad(FeatureSchema):
    """One row per hour in which there were departures, at the hour's end."""

    network_departures_24h: int = Field(ge=1, description="Departures, last 24 hours [count].")
    network_delay_24h: float = Field(ge=-120, le=2_000, description="Mean departure delay, last 24 hours [min].")


@feature_view(
    schema=NetworkLoad,
    sources=[sources.flights],
    ttl=timedelta(days=2),
    partitions="month",
    start="2013-01-01",
    lookback=timedelta(hours=24),
    owner="network@example.com",
    tags={"domain": "operations"},
)
def network_load(flights: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull())
    hourly = departed.group_by(event_timestamp=hour_end(departed.departed_at)).aggregate(
        n=departed.count(), delay=departed.dep_delay.sum()
    )
    n = trailing(hourly, hourly.n, hours=24, keys=[])
    delay = trailing(hourly, hourly.delay, hours=24, keys=[])
    return hourly.select("event_timestamp", network_departures_24h=n, network_delay_24h=delay / n)
