"""What the online benchmarks read and write: 30 features of one entity in 3 views, on a server of their own."""

from __future__ import annotations

import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import redis

from amora_fs_assets import Entity, FeatureService, FeatureStore, FeatureView, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.embedded.server import _server_program

VIEWS, FEATURES = 3, 10
NOW = datetime.now(UTC).replace(microsecond=0)


def features(view: int) -> list[Column]:
    """Ten of a view: seven floats, two whole numbers, a short text."""
    kinds = [DataType.FLOAT64] * 7 + [DataType.INT64] * 2 + [DataType.STRING]
    return [Column(f"v{view}_f{place}", kind, nullable=True) for place, kind in enumerate(kinds)]


def views() -> list[FeatureView]:
    """Three views of one entity."""
    driver = Entity("driver")
    key = Column("driver", DataType.INT64)
    return [
        FeatureView(f"view_{v}", (key, *features(v)), [driver], start="2020-01-01", ttl=timedelta(days=7))
        for v in range(VIEWS)
    ]


def batch(view: int, start: int, count: int) -> pa.RecordBatch:
    """Rows of one view for `count` drivers from `start` on; the same for every caller."""
    random_ = np.random.default_rng([view, start])
    columns = {
        "driver": pa.array(np.arange(start, start + count)),
        "event_timestamp": pa.array([NOW] * count, pa.timestamp("us", tz="UTC")),
    }
    for column in features(view):
        match column.type:
            case DataType.FLOAT64:
                columns[column.name] = pa.array(random_.normal(size=count))
            case DataType.INT64:
                columns[column.name] = pa.array(random_.integers(0, 100_000, size=count))
            case _:
                columns[column.name] = pa.array([f"t{number}" for number in random_.integers(0, 1000, size=count)])
    return pa.record_batch(columns)


@contextmanager
def server(*, program: str = "") -> Iterator[str]:
    """URL of an empty Valkey on loopback, or of a server of another program."""
    with tempfile.TemporaryDirectory() as folder:
        port = random.randint(20_000, 30_000)
        process = subprocess.Popen(
            [program or _server_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        url = f"redis://127.0.0.1:{port}"
        try:
            for _ in range(200):
                try:
                    redis.Redis.from_url(url).ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.02)
            yield url
        finally:
            process.terminate()
            process.wait()


def feature_store(url: str, home: Path) -> FeatureStore:
    """A store whose registry knows the three views, and the service `all` of their features."""
    store = FeatureStore(Settings(home=home, online_store_url=url))
    made = views()
    store.registry.apply(Catalogue.of([*made, FeatureService("all", made)]), parent=None, clock=NOW)
    return store


def used_memory(url: str) -> int:
    """Bytes that the server holds."""
    return int(redis.Redis.from_url(url).info("memory")["used_memory"])
