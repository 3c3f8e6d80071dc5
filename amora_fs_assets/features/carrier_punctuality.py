"""The recent punctuality of each carrier."""

from datetime import timedelta

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, feature_view
from amora_fs_assets.features import entities, sources
from amora_fs_assets.features.hours import hour_end


class CarrierPunctuality(FeatureSchema):
    """One row per carrier and hour in which it had departures, at the hour's end."""

    carrier: str = Field(description="Carrier the features describe.")
    departures: int = Field(ge=1, description="Departures in the hour [count].")
    mean_delay: float = Field(ge=-120, le=2_000, description="Mean departure delay in the hour [min].")
    late_share: float = Field(ge=0, le=1, description="Share of departures over 15 min late.")


@feature_view(
    schema=CarrierPunctuality,
    entities=[entities.carrier],
    sources=[sources.flights],
    ttl=timedelta(days=7),
    partitions="month",
    start="2013-01-01",
    lookback=timedelta(hours=1),
    owner="network@example.com",
    tags={"domain": "operations"},
)
def carrier_punctuality(flights: Table) -> Table:
    departed = flights.filter(flights.departed_at.notnull())
    return departed.group_by("carrier", event_timestamp=hour_end(departed.departed_at)).aggregate(
        departures=departed.count(),
        mean_delay=departed.dep_delay.mean(),
        late_share=(departed.dep_delay > 15).mean(),
    )
