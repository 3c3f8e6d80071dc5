"""Two external tables and a view that was never computed, and frames that ask for their features."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pyarrow as pa

from amora_fs_assets import Entity, FeatureService, FeatureStore, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.types import DataType
from amora_fs_assets_tests.small import at

TIME = pa.timestamp("us", tz="UTC")
AIRPORT, TIMES = Column("airport", DataType.STRING), Column("event_timestamp", DataType.TIMESTAMP)
CARRIER = Column("carrier", DataType.INT64)


def column(name: str, type_: DataType = DataType.INT64) -> Column:
    return Column(name, type_, nullable=True)


WEATHER = FeatureView(
    "weather", (AIRPORT, TIMES, column("wind"), column("rain", DataType.FLOAT64), column("calm", DataType.BOOLEAN)),
    [Entity("airport")], table="theirs.weather", ttl=timedelta(hours=2),
)  # fmt: skip
DELAYS = FeatureView(
    "delays", (CARRIER, TIMES, column("wind"), column("late")), [Entity("carrier")], table="theirs.delays"
)
NEVER = FeatureView("never", (CARRIER, TIMES, column("x")), [Entity("carrier")], start="2020-01-01")
SERVICE = FeatureService(
    "flights", [WEATHER["wind", "calm"].alias("origin_weather", {"airport": "origin"}), DELAYS["late"]]
)
TABLES = {
    "theirs.weather": pa.table(
        {
            "airport": ["JFK", "JFK", "LGA"],
            "event_timestamp": pa.array([at(1, 1), at(1, 3), at(1, 1)], TIME),
            "wind": pa.array([10, None, 30], pa.int64()),
            "rain": [0.5, 0.0, 1.5],
            "calm": [False, True, False],
        }
    ),
    "theirs.delays": pa.table(
        {
            "carrier": pa.array([1], pa.int64()),
            "event_timestamp": pa.array([at(1)], TIME),
            "wind": pa.array([7], pa.int64()),
            "late": pa.array([3], pa.int64()),
        }
    ),
}


def frame(**more: Any) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "origin": ["LGA", "JFK", "JFK", None],
            "carrier": [1, 1, 2, 2],
            "event_timestamp": pd.to_datetime(["2020-01-01T02", "2020-01-01T03", "2020-01-01T02", "2020-01-01T02"]),
            **more,
        },
        index=pd.Index([7, 5, 7, 1], name="flight"),
    )


def spine_table(fs: FeatureStore) -> pa.Table:
    return pa.Table.from_pandas(frame(label=[1, 2, 3, 4]), preserve_index=False).cast(
        pa.schema([("origin", pa.string()), ("carrier", pa.int64()), ("event_timestamp", TIME), ("label", pa.int64())])
    )


def sorted_rows(result: pa.Table) -> list[dict[str, Any]]:
    return sorted(result.to_pylist(), key=lambda row: row["label"])
