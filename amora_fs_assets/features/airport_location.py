"""The location of an airport: a view of an external table."""

from amora_fs_assets import FeatureSchema, FeatureView, Field, Timestamp
from amora_fs_assets.features import entities


class AirportLocation(FeatureSchema):
    """One row per airport."""

    faa: str = Field(description="Airport, by its FAA code.")
    recorded_at: Timestamp = Field(description="From when on the row counts.")
    latitude: float = Field(ge=-90, le=90, description="Latitude [deg].")
    longitude: float = Field(ge=-180, le=180, description="Longitude [deg].")
    altitude: float = Field(ge=-300, le=10_000, description="Altitude [ft].")


airport_location = FeatureView(
    name="airport_location",
    schema=AirportLocation,
    entities=[entities.location],
    table="reference.airports",
    timestamp_field="recorded_at",
    owner="data-platform@example.com",
    tags={"domain": "reference"},
)
