"""Departures and delays of all New York City airports together: features without an entity."""

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Interval, Windowed, feature_view, rolling
from amora_fs_assets.features import sources
from amora_fs_assets.windows import Windows, count, mean

WINDOWS = Windows("24h", "7d", at="1h")


class NetworkLoad(FeatureSchema, windows=WINDOWS):
    """One row per full hour at which a window changed."""

    network_departures: Windowed[int] = Field(ge=0, description="Departures, last {window} [count].")
    network_delay: Windowed[float] = Field(
        ge=-120, le=2_000, nullable=True, description="Mean departure delay, last {window} [min]."
    )


@feature_view(
    schema=NetworkLoad,
    sources=[sources.flights],
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "operations"},
)
def network_load(flights: Table, interval: Interval) -> Table:
    return rolling(
        flights.filter(flights.departed_at.notnull()),
        WINDOWS,
        time="happened_at",
        interval=interval,
        network_departures=count(),
        network_delay=mean("dep_delay"),
    )
