"""The verbs through the facade: seconds of each as JSON. `before_after` runs this file in two checkouts.

    python benchmarks/verbs.py FOLDER

Uses the public API and the embedded parts alone, so that an older checkout runs it, too.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
import types
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from amora_fs_assets import Entity, FeatureSchema, FeatureStore, FeatureView, Settings, Source, SourceSchema, Timestamp
from amora_fs_assets.operations.offline.load_source import load as load_source

ROWS, ENTITIES = 200_000, 50_000
START, DAYS = datetime(2020, 1, 1, tzinfo=UTC), 20
NOW = START + timedelta(days=DAYS)


class Trips(SourceSchema):
    """What the view is computed from."""

    driver: int
    at: Timestamp
    fare: float


class Fares(FeatureSchema):
    """The view's columns."""

    driver: int
    fare: float
    fare_with_tip: float


def trips() -> pa.Table:
    """Rows in the order of time, each driver every fourth round."""
    step = timedelta(days=DAYS) / ROWS
    return pa.table(
        {
            "driver": pa.array([i % ENTITIES for i in range(ROWS)], pa.int64()),
            "at": pa.array([START + i * step for i in range(ROWS)], pa.timestamp("us", tz="UTC")),
            "fare": pa.array([float(i) for i in range(ROWS)], pa.float64()),
        }
    )


SOURCE = Source("trips", Trips, timestamp_field="at", table="raw.trips", loader=trips)
VIEW = FeatureView(
    "fares", Fares, [Entity("driver")], [SOURCE], partitions="day", start="2020-01-01", ttl=timedelta(days=365),
    transform=lambda trips: trips.select(
        "driver", "fare", fare_with_tip=trips["fare"] * 1.1, event_timestamp=trips["at"]
    ),
)  # fmt: skip


def seconds(call: Callable[[], Any], times: int) -> tuple[float, float]:
    """The medians of some calls: by the clock, and of this process on its processors."""
    taken, worked = [], []
    for _ in range(times):
        began, before = time.perf_counter(), time.process_time()
        call()
        taken.append(time.perf_counter() - began)
        worked.append(time.process_time() - before)
    return statistics.median(taken), statistics.median(worked)


def main(folder: str) -> None:
    """Measure each verb."""
    module = types.ModuleType("benchmarked")
    module.view = VIEW  # type: ignore[attr-defined]
    settings = Settings(home=Path(folder), now=NOW.isoformat())  # type: ignore[arg-type]
    store = FeatureStore(settings, definitions=module)
    store.apply()
    load_source(SOURCE, run_id="trips", store=store.offline, registry=store.registry)
    day = timedelta(days=1)
    store.compute(START, NOW, ["fares"])
    store.materialize_incremental(feature_views=["fares"])
    drivers = {"driver": list(range(100))}

    def push() -> None:
        rows = [{"driver": 7, "event_timestamp": NOW, "fare": 1.0, "fare_with_tip": 2.0}]
        store.push("fares", rows)

    def incremental() -> None:
        store.compute(NOW - day, NOW, ["fares"])
        store.materialize_incremental(feature_views=["fares"])

    found = {
        "compute a day of 10,000 rows": seconds(lambda: store.compute(NOW - day, NOW, ["fares"]), 11),
        "compute that day and load it": seconds(incremental, 7),
        "load all of 50,000 entities": seconds(
            lambda: store.materialize_incremental(feature_views=["fares"], full=True), 5
        ),
        "push one row": seconds(push, 40),
        "read 100 entities": seconds(lambda: store.get_online_features(["fares:fare"], drivers), 500),
    }
    store.close()
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
