"""The recent punctuality of each carrier."""

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Interval, Windowed, feature_view, rolling
from amora_fs_assets.features import entities, sources
from amora_fs_assets.windows import Windows, count, mean

WINDOWS = Windows("1h", "24h", "7d", "30d", at="1h")


class CarrierPunctuality(FeatureSchema, windows=WINDOWS):
    """One row per carrier and full hour at which a window changed."""

    carrier: str = Field(description="Carrier the features describe.")
    departures: Windowed[int] = Field(ge=0, description="Departures, last {window} [count].")
    mean_delay: Windowed[float] = Field(
        ge=-120, le=2_000, nullable=True, description="Mean departure delay, last {window} [min]."
    )
    late_share: Windowed[float] = Field(
        ge=0, le=1, nullable=True, description="Share of departures over 15 min late, last {window}."
    )


@feature_view(
    schema=CarrierPunctuality,
    entities=[entities.carrier],
    sources=[sources.flights],
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "operations"},
)
def carrier_punctuality(flights: Table, interval: Interval) -> Table:
    departed = flights.filter(flights.departed_at.notnull())
    return rolling(
        departed.mutate(late=(departed.dep_delay > 15).cast("int64")),
        WINDOWS,
        by="carrier",
        time="happened_at",
        interval=interval,
        departures=count(),
        mean_delay=mean("dep_delay"),
        late_share=mean("late"),
    )
