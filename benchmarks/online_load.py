"""Loading: the newest 100k of 1M rows x 10 features from offline to online, against Feast and a lower bound.

    python -m benchmarks.online_load

The lower bound does what cannot be left out: DuckDB's newest rows as Arrow, MessagePack, pipelined SETs with an expiry.
A million entities are loaded in a process of its own, for its peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import redis

from amora_fs_assets import Entity, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.online.materialize import materialize
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore
from benchmarks.measure import median, peak_memory, report, table
from benchmarks.online import feast
from benchmarks.online_data import NOW, server, used_memory

ROWS, ENTITIES = 1_000_000, 100_000
ROUNDS = 3
VIEW = FeatureView(
    "loaded",
    (Column("driver", DataType.INT64), *(Column(f"f{i}", DataType.FLOAT64, nullable=True) for i in range(10))),
    [Entity("driver")],
    start="2020-01-01",
    ttl=timedelta(days=30),
)


def rows(count: int, entities: int) -> pa.Table:
    """That many rows of that many entities, over the last week."""
    random = np.random.default_rng(1)
    age = random.integers(0, 7 * 86_400_000_000, size=count)
    times = np.datetime64(NOW.replace(tzinfo=None), "us") - age.astype("timedelta64[us]")
    columns = {
        "driver": pa.array(np.arange(count) % entities),
        "event_timestamp": pa.array(times, pa.timestamp("us")).cast(pa.timestamp("us", tz="UTC")),
        **{f"f{i}": pa.array(random.normal(size=count)) for i in range(10)},
    }
    return pa.table(columns)


def publish(store: DuckDBOfflineStore, data: pa.Table) -> None:
    """Make the rows the view's."""
    draft = Draft(
        name="loaded", table=f"{store.dataset}.loaded", columns=VIEW.row_columns, keys=("driver",),
        time="event_timestamp", run_id="bench", published_at=NOW,
    )  # fmt: skip
    store.publish(store.stage(data, name="loaded", run_id="bench"), draft)


def ours(home: Path, url: str) -> float:
    """Seconds of a full load."""
    online = RedisOnlineStore(project=f"p{time.time_ns()}", url=url)
    began = time.perf_counter()
    materialize(VIEW, store=DuckDBOfflineStore(home), online=online, clock=NOW)
    seconds = time.perf_counter() - began
    online.close()
    return seconds


def lower_bound(home: Path, url: str) -> float:
    """Seconds of what cannot be left out."""
    client = redis.Redis.from_url(url)
    encode = msgspec.msgpack.Encoder().encode
    expiry = int(time.time() * 1000) + 31 * 86_400_000
    began = time.perf_counter()
    with duckdb.connect(str(home / "offline.duckdb"), read_only=True) as connection:
        newest = connection.execute(
            "SELECT * FROM feature_store.loaded QUALIFY row_number() OVER "
            "(PARTITION BY driver ORDER BY event_timestamp DESC) = 1"
        )
        for batch in newest.to_arrow_reader(10_000):
            columns = [
                column.cast(pa.int64()).to_numpy().tolist() if pa.types.is_timestamp(column.type)
                else column.to_numpy(zero_copy_only=False).tolist()
                for column in batch.columns
            ]  # fmt: skip
            values = list(map(encode, zip(*columns, strict=True)))
            for start in range(0, len(values), 1_000):
                pipeline = client.pipeline(transaction=False)
                for key, value in zip(columns[0][start : start + 1_000], values[start : start + 1_000], strict=True):
                    pipeline.set(f"bound:{key}", value, pxat=expiry)
                pipeline.execute()
    return time.perf_counter() - began


def alone(home: Path, url: str) -> None:
    """A load in this process, whose seconds and peak memory [MiB] are printed."""
    seconds = ours(home, url)
    sys.stdout.write("\n" + json.dumps([seconds, peak_memory()]))


def measured_alone(home: Path, url: str) -> tuple[float, float]:
    """Seconds and peak of a load in a process of its own."""
    code = f"from pathlib import Path; from benchmarks.online_load import alone; alone(Path({str(home)!r}), {url!r})"
    seconds, peak = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True).splitlines()[-1])
    return seconds, peak


def main() -> None:
    """Print and keep the table."""
    with server() as url, tempfile.TemporaryDirectory() as small, tempfile.TemporaryDirectory() as large:
        data = rows(ROWS, ENTITIES)
        publish(DuckDBOfflineStore(Path(small)), data)
        pq.write_table(data, Path(small) / "rows.parquet")
        publish(DuckDBOfflineStore(Path(large)), rows(ROWS, ROWS))
        del data
        client = redis.Redis.from_url(url)
        loads, bounds = [], []
        for _ in range(ROUNDS):
            client.flushall()
            bounds.append(lower_bound(Path(small), url))
            client.flushall()
            loads.append(ours(Path(small), url))
        small_seconds, small_peak = measured_alone(Path(small), url)
        client.flushall()
        theirs = feast(Path(small), url, "load", str(Path(small) / "rows.parquet"))
        client.flushall()
        empty = used_memory(url)
        large_seconds, large_peak = measured_alone(Path(large), url)
        per_row = (used_memory(url) - empty) / ROWS
    header = ["", "seconds", "peak of the loader [MiB]"]
    lines = [
        ["lower bound, 100k entities", f"{median(bounds):.2f}", ""],
        ["ours, 100k entities", f"{median(loads):.2f}", f"{small_peak:.0f}"],
        ["Feast 0.67, 100k entities", f"{theirs['seconds']:.2f}", f"{theirs['peak']:.0f}"],
        ["ours, 1M entities", f"{large_seconds:.2f}", f"{large_peak:.0f}"],
    ]
    report(
        "online_load",
        "Loading the online store: the newest of 1M rows x 10 floats",
        "make bench-online",
        table(header, lines),
        f"Ours takes {median(loads) / median(bounds):.2f} times the lower bound; Feast takes "
        f"{theirs['seconds'] / median(loads):.1f} times ours. In a process of its own, imports left out, ours takes "
        f"{small_seconds:.2f} s. {per_row:.0f} bytes in Valkey per entity of ten floats. Ours reads a sample back "
        "and compares it with the offline store before it goes live.",
    )


if __name__ == "__main__":
    main()
