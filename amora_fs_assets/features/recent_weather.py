"""Rain and sight at an airport over the last day: a view of another view."""

from ibis.expr.types import Table

from amora_fs_assets import FeatureSchema, Field, Interval, Windowed, feature_view, rolling
from amora_fs_assets.features import entities
from amora_fs_assets.features.airport_weather import airport_weather
from amora_fs_assets.windows import Windows, min_, sum_

WINDOWS = Windows("3h", "24h", at="1h")


class RecentWeather(FeatureSchema, windows=WINDOWS):
    """One row per airport and full hour at which a window changed."""

    airport: str = Field(description="Airport.")
    rain: Windowed[float] = Field(ge=0, le=100, description="Precipitation known in the last {window} [in].")
    least_visibility: Windowed[float] = Field(
        ge=0, le=10, nullable=True, description="Least visibility known in the last {window} [mi]."
    )


@feature_view(
    schema=RecentWeather,
    entities=[entities.airport],
    sources=[airport_weather],
    partitions="month",
    start="2013-01-01",
    owner="network@example.com",
    tags={"domain": "weather"},
)
def recent_weather(airport_weather: Table, interval: Interval) -> Table:
    return rolling(
        airport_weather,
        WINDOWS,
        by="airport",
        time="event_timestamp",
        interval=interval,
        rain=sum_("precipitation"),
        least_visibility=min_("visibility"),
    )
