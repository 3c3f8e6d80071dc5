"""The tables from which features are computed."""

from datetime import timedelta

from amora_fs_assets import Field, Source, SourceSchema, Timestamp
from amora_fs_assets.features import nycflights

OWNER = "data-platform@example.com"


class Flights(SourceSchema):
    """One row per scheduled departure from New York City in 2013."""

    happened_at: Timestamp = Field(description="Departure; where it was cancelled, its schedule.")
    scheduled_at: Timestamp = Field(description="Scheduled departure.")
    departed_at: Timestamp = Field(nullable=True, description="Departure; null: cancelled.")
    carrier: str = Field(description="Airline.")
    flight: int = Field(description="Flight number.")
    tailnum: str = Field(nullable=True, description="Aircraft; null for 2,512 cancelled flights.")
    origin: str = Field(description="Airport of departure.")
    dest: str = Field(description="Airport of arrival.")
    dep_delay: float = Field(nullable=True, description="Departure delay [min]; negative: early.")
    distance: float = Field(description="Distance flown [mi].")


class Weather(SourceSchema):
    """One row per airport of departure and hour."""

    observed_at: Timestamp = Field(description="Start of the hour.")
    known_at: Timestamp = Field(description="An hour later.")
    airport: str = Field(description="Airport.")
    temp: float = Field(nullable=True, description="Temperature [F].")
    humid: float = Field(nullable=True, description="Relative humidity [%].")
    wind_speed: float = Field(nullable=True, description="Wind speed [mph]; one value is 1,048.")
    precip: float = Field(nullable=True, description="Precipitation [in].")
    pressure: float = Field(nullable=True, description="Sea level pressure [mbar].")
    visib: float = Field(nullable=True, description="Visibility [mi].")


class Planes(SourceSchema):
    """One row per aircraft of the FAA's register; 721 of 4,043 tail numbers are not in it."""

    tailnum: str = Field(description="Aircraft.")
    year: int = Field(nullable=True, description="Year of manufacture.")
    seats: int = Field(nullable=True, description="Seats [count].")
    engines: int = Field(nullable=True, description="Engines [count].")


class Airports(SourceSchema):
    """One row per airport of the United States."""

    faa: str = Field(description="Airport, by its FAA code.")
    recorded_at: Timestamp = Field(description="From when on the row counts.")
    latitude: float = Field(description="Latitude [deg].")
    longitude: float = Field(description="Longitude [deg].")
    altitude: float = Field(description="Altitude [ft].")


flights = Source("flights", Flights, timestamp_field="happened_at", owner=OWNER, loader=nycflights.flights)
weather = Source(
    "weather",
    Weather,
    timestamp_field="observed_at",
    available_at="known_at",
    max_lateness=timedelta(hours=1),
    owner=OWNER,
    loader=nycflights.weather,
)
planes = Source("planes", Planes, valid_from="2013-01-01", owner=OWNER, loader=nycflights.planes)
airports = Source(
    "airports",
    Airports,
    table="reference.airports",
    timestamp_field="recorded_at",
    owner=OWNER,
    loader=nycflights.airports,
)
