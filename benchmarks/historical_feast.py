"""Feast's side of `benchmarks.historical`, run by Feast's own environment: python historical_feast.py WORK SPINE ROWS_PER_KEY RESULT TIMES."""  # noqa: E501

import json
import sys
import time
from datetime import timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String


def main(work: Path, spine: str, rows_per_key: str, result: Path, times: int) -> None:
    """Ask as often as said, the first time to warm up."""
    repo = work / "feast"
    repo.mkdir(exist_ok=True)
    store = FeatureStore(
        config=RepoConfig(
            project="benchmark",
            provider="local",
            registry=str(repo / "registry.db"),
            online_store={"type": "sqlite", "path": str(repo / "online.db")},
            offline_store={"type": "duckdb"},
            entity_key_serialization_version=3,
        )
    )
    entity = Entity(name="id", join_keys=["id"], value_type=ValueType.INT64)
    fields = [Field(name=f"{letter}{i}", dtype=type_) for letter, type_, count in
              (("a", Float64, 4), ("b", Int64, 4), ("c", String, 2)) for i in range(count)]  # fmt: skip
    views = [
        FeatureView(
            name=f"fv{i}",
            entities=[entity],
            ttl=timedelta(days=3),
            schema=[Field(name="id", dtype=Int64), *fields],
            source=FileSource(path=str(work / f"fv{i}_{rows_per_key}.parquet"), timestamp_field="event_timestamp"),
        )
        for i in range(3)
    ]
    store.apply([entity, *views])
    asked = pd.read_parquet(work / f"spine_{spine}_{rows_per_key}.parquet")
    features = [f"{view.name}:{field.name}" for view in views for field in fields]
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        rows = store.get_historical_features(asked, features, full_feature_names=True).to_arrow()
        seconds.append(time.perf_counter() - began)
        assert rows.num_rows == len(asked), rows.num_rows
    result.write_text(json.dumps(seconds[1:] or seconds))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))
