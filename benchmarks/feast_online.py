"""Feast's side of the online benchmark, run by Feast's own Python: it imports nothing of this project.

    feast_online.py FOLDER REDIS_HOST:PORT TASK [ARGUMENT...]

TASK is `write` (FOLDER/view_<n>.parquet to Redis), `read ROUNDS SIZE...` (latencies), or `load TABLE.parquet`. The last
line that it prints is JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

TYPES = {"float64": Float64, "int64": Int64, "object": String}


def peak_memory() -> float:
    """As benchmarks.measure, which cannot be imported here."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def store_of(folder: Path, redis: str) -> FeatureStore:
    (folder / "feature_store.yaml").write_text(
        f"project: bench\nregistry: {folder}/registry.db\nprovider: local\nentity_key_serialization_version: 3\n"
        f"offline_store:\n  type: file\nonline_store:\n  type: redis\n  connection_string: {redis}\n"
    )
    return FeatureStore(str(folder))


def view_of(name: str, path: Path) -> FeatureView:
    frame = pd.read_parquet(path).head(1)
    fields = [
        Field(name=column, dtype=TYPES[str(frame[column].dtype)])
        for column in frame.columns
        if column not in {"driver", "event_timestamp"}
    ]
    return FeatureView(
        name=name,
        entities=[Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)],
        schema=fields,
        ttl=timedelta(days=7),
        source=FileSource(path=str(path), timestamp_field="event_timestamp"),
    )


def main() -> None:
    folder, redis, task, *arguments = sys.argv[1:]
    store = store_of(Path(folder), redis)
    entity = Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)
    result: dict[str, object] = {}
    if task == "write":
        paths = sorted(Path(folder).glob("view_*.parquet"))
        store.apply([entity, *(view_of(path.stem, path) for path in paths)])
        for path in paths:
            store.write_to_online_store(path.stem, pd.read_parquet(path))
    elif task == "read":
        seconds = float(arguments[0])
        features = [f"{view.name}:{field.name}" for view in store.list_feature_views() for field in view.schema]
        features = [feature for feature in features if not feature.endswith(":driver")]
        for size in map(int, arguments[1:]):
            rows = [{"driver": number * 7 % 10_000} for number in range(size)]
            times: list[float] = []
            until = time.perf_counter() + seconds
            while time.perf_counter() < until or len(times) < 5:
                began = time.perf_counter()
                store.get_online_features(features=features, entity_rows=rows).to_dict()
                times.append(time.perf_counter() - began)
            result[str(size)] = times
    elif task == "load":
        path = Path(arguments[0])
        view = view_of("loaded", path)
        store.apply([entity, view])
        moments = pd.read_parquet(path, columns=["event_timestamp"])["event_timestamp"]
        began = time.perf_counter()
        store.materialize(moments.min().to_pydatetime(), moments.max().to_pydatetime(), ["loaded"])
        result = {
            "seconds": time.perf_counter() - began,
            "peak": peak_memory(),
        }
    print("\n" + json.dumps(result))


if __name__ == "__main__":
    main()
