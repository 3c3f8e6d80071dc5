"""Training sets: our join beside the same join in plain SQL, and beside Feast 0.67's DuckDB store.

`python -m benchmarks.historical` prepares the data, runs each side in processes of its own, round after round, and
keeps the table. With the name of a side, a spine and a file it is one such process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from amora_fs_assets import Entity, FeatureService, FeatureView
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.operations.training.historical import historical_features
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from benchmarks.measure import Run, median, report, run, table

ROOT = Path(__file__).parents[1]
WORK = ROOT / ".bench" / "historical"
FEAST, FEAST_HOME = "Feast 0.67", ROOT / ".venv-feast-historical"
ROWS, VIEWS, DAYS = 1_000_000, 3, 30
SPINES = {"10k": 10_000, "100k": 100_000, "1M": 1_000_000}
ASKED = {10: ("10k", "100k", "1M"), 100: ("100k", "1M"), 1_000: ("10k", "100k")}
"""Rows per key, and the spines asked with them. (With 1,000 rows per key and a spine of 1M, Feast takes 18 GB.)"""
MERGING = (10, 10_000)
"""Rows per key for BigQuery's strategy."""
ROUNDS, TIMES = 2, 3
TYPES = {"a": ("DOUBLE", DataType.FLOAT64, 4), "b": ("BIGINT", DataType.INT64, 4), "c": ("VARCHAR", DataType.STRING, 2)}
FEATURES = {f"{letter}{i}": type_ for letter, (_, type_, count) in TYPES.items() for i in range(count)}


class MergingStore(DuckDBOfflineStore):
    """DuckDB without ASOF joins: the point-in-time join is then the expression that BigQuery runs."""

    dialect = replace(DUCKDB, has_asof_join=False)


class SmallStore(DuckDBOfflineStore):
    """DuckDB with 2 GB of memory."""

    @contextmanager
    def _open(self, *, write: bool = False) -> Any:
        with super()._open(write=write) as connection:
            connection.execute("SET memory_limit = '2GB'; SET preserve_insertion_order = false")
            yield connection


def service_of(rows_per_key: int) -> FeatureService:
    """Three views of ten features, ttl of three days."""
    columns = (
        Column("id", DataType.INT64),
        Column("event_timestamp", DataType.TIMESTAMP),
        *(Column(name, type_) for name, type_ in FEATURES.items()),
    )
    return FeatureService(
        "benchmark",
        [
            FeatureView(f"fv{i}_{rows_per_key}", columns, [Entity("id")], ttl=timedelta(days=3), start="2024-01-01")
            for i in range(VIEWS)
        ],
    )


def prepare() -> None:
    """The tables, in DuckDB and as Parquet for Feast, by rows per key."""
    WORK.mkdir(parents=True, exist_ok=True)
    if (WORK / "ready").exists():
        return
    value = {
        "DOUBLE": "random()",
        "BIGINT": "(random() * 1000)::BIGINT",
        "VARCHAR": "'value ' || (random() * 1000)::INT",
    }
    drawn = ", ".join(f"{value[sql]} AS {letter}{i}" for letter, (sql, _, count) in TYPES.items() for i in range(count))
    time_ = f"TIMESTAMPTZ '2024-01-01' + to_microseconds((random() * {DAYS} * 86400 * 1e6)::BIGINT)"
    with duckdb.connect(WORK / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'; SELECT setseed(0.5); CREATE SCHEMA feature_store")
        for rows_per_key in sorted({*ASKED, *MERGING}):
            ids = ROWS // rows_per_key
            for i in range(VIEWS):
                name = f"feature_store.fv{i}_{rows_per_key}"
                connection.execute(
                    f"CREATE TABLE {name} AS SELECT range % {ids} AS id, {time_} AS event_timestamp, {drawn} "
                    f"FROM range({ROWS})"
                )
                connection.execute(f"COPY {name} TO '{WORK}/fv{i}_{rows_per_key}.parquet'")
            for size, count in {**SPINES, **({"20M": 20_000_000} if rows_per_key == 10 else {})}.items():
                name = f"feature_store.spine_{size}_{rows_per_key}"
                connection.execute(
                    f"CREATE TABLE {name} AS SELECT (random() * {ids - 1})::BIGINT AS id, "
                    f"{time_} AS event_timestamp, random() < 0.2 AS label FROM range({count})"
                )
                connection.execute(f"COPY {name} TO '{WORK}/spine_{size}_{rows_per_key}.parquet'")
    (WORK / "ready").touch()


def reference(spine: str, rows_per_key: int) -> Callable[[], pa.Table]:
    """The join as one would write it by hand, for DuckDB."""
    features = ", ".join(
        f"CASE WHEN f{i}.event_timestamp >= s.event_timestamp - INTERVAL 3 DAY THEN f{i}.{name} END AS fv{i}__{name}"
        for i in range(VIEWS)
        for name in FEATURES
    )
    joins = " ".join(
        f"ASOF LEFT JOIN feature_store.fv{i}_{rows_per_key} AS f{i} "
        f"ON s.id = f{i}.id AND s.event_timestamp >= f{i}.event_timestamp"
        for i in range(VIEWS)
    )

    def ask() -> pa.Table:
        with duckdb.connect(WORK / "offline.duckdb", read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            query = f"SELECT s.*, {features} FROM feature_store.spine_{spine}_{rows_per_key} AS s {joins}"
            return connection.execute(query).to_arrow_table()

    return ask


def ours(spine: str, rows_per_key: int, *, as_frame: bool = False, select: bool = False) -> Callable[[], Any]:
    """get_historical_features of a frame that the caller has, or of a SELECT."""
    store = DuckDBOfflineStore(WORK)
    given: Any = f"FROM feature_store.spine_{spine}_{rows_per_key}" if select else frame(spine, rows_per_key)
    if as_frame:
        given = given.to_pandas()

    def ask() -> Any:
        features = historical_features(service_of(rows_per_key), given, store=store, full_feature_names=True)
        return features.to_df() if as_frame else features.to_arrow()

    return ask


def merging(spine: str, rows_per_key: int) -> Callable[[], pa.Table]:
    """The expression for BigQuery, run by DuckDB."""
    given = frame(spine, rows_per_key)
    store = MergingStore(WORK)
    return lambda: historical_features(service_of(rows_per_key), given, store=store, full_feature_names=True).to_arrow()


def spilling(spine: str, rows_per_key: int) -> Callable[[], Any]:
    """20M rows with 2 GB of memory, batch by batch."""

    def ask() -> None:
        select = f"FROM feature_store.spine_{spine}_{rows_per_key}"
        features = historical_features(
            service_of(rows_per_key), select, store=SmallStore(WORK), full_feature_names=True
        )
        rows = sum(batch.num_rows for batch in features.to_arrow_batches())
        assert rows == 20_000_000, rows

    return ask


def frame(spine: str, rows_per_key: int) -> pa.Table:
    """A spine as the caller has it."""
    import pyarrow.parquet

    return pyarrow.parquet.read_table(WORK / f"spine_{spine}_{rows_per_key}.parquet")


SIDES: dict[str, Callable[[str, int], Callable[[], Any]]] = {
    "reference": reference,
    "ours": ours,
    "ours (SELECT)": partial(ours, select=True),
    "ours, to_df()": partial(ours, as_frame=True),
    "merging": merging,
    "spilling": spilling,
}


def side(name: str, spine: str, rows_per_key: str, result: str, times: str) -> None:
    """Be the process of one side: warm up, then time, each from the question to the rows."""
    ask = SIDES[name](spine, int(rows_per_key))
    seconds = []
    for _ in range(int(times)):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    Path(result).write_text(json.dumps(seconds[1:] or seconds))


class Measured:
    """Seconds and peak memory of a side, over its processes."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.peak = 0.0

    def add(self, command: list[str], result: Path) -> None:
        """Run its process once more."""
        done: Run = run(command)
        self.seconds += json.loads(result.read_text())
        self.peak = max(self.peak, done.peak)

    @property
    def median(self) -> float:
        """Of all its times [s]."""
        return median(self.seconds)


def measured(name: str, spine: str, rows_per_key: int, into: Measured, times: int = TIMES + 1) -> None:
    """One process of a side."""
    result = WORK / "seconds.json"
    asked = [spine, str(rows_per_key), str(result), str(times)]
    if name == FEAST:
        command = [str(FEAST_HOME / "bin" / "python"), str(Path(__file__).with_name("historical_feast.py"))]
        into.add([*command, str(WORK), *asked], result)
    else:
        into.add([sys.executable, "-m", "benchmarks.historical", name, *asked], result)


def install_feast() -> None:
    """An environment of its own: Feast's extras want other versions than ours."""
    if (FEAST_HOME / ".stamp").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(FEAST_HOME)], check=True)
    packages = ["feast[duckdb]==0.67.0"]
    subprocess.run([FEAST_HOME / "bin" / "python", "-m", "pip", "install", "--quiet", *packages], check=True)
    (FEAST_HOME / ".stamp").touch()


def main() -> None:
    """Print and keep the table."""
    install_feast()
    prepare()
    rows = [line for rows_per_key, spines in ASKED.items() for spine in spines for line in beside(spine, rows_per_key)]
    growth = {rows_per_key: Measured() for rows_per_key in MERGING}
    for _ in range(ROUNDS):
        for rows_per_key, found in growth.items():
            measured("merging", "100k", rows_per_key, found)
    least = growth[MERGING[0]].median
    spilled = Measured()
    measured("spilling", "20M", 10, spilled, times=1)
    report(
        "historical",
        "Training sets",
        "make bench-historical",
        f"{VIEWS} views of {ROWS:,} rows and 10 features, ttl of 3 days of {DAYS}, to Arrow. The reference is an ASOF "
        "join written by hand, whose rows come in no order; ours come in the spine's. At most 1.25 times the reference "
        "is wanted, and a fifth of Feast's time. Feast reads the same rows from Parquet files; its join pairs a row of "
        "the spine with every row of its key within the ttl, so that its time grows with the rows per key.",
        table(["rows per key", "spine", "side", "median", "to the reference", "Feast to it", "peak memory"], rows),
        "The strategy for BigQuery, run by DuckDB, spine of 100k: at most 3 times is wanted.",
        table(
            ["rows per key", "median", "ratio", "peak memory"],
            [
                [f"{rows_per_key:,}", f"{found.median:.2f} s", f"{found.median / least:.2f}", f"{found.peak:,.0f} MiB"]
                for rows_per_key, found in growth.items()
            ],
        ),
        f"A SELECT of 20 million rows under DuckDB's memory_limit of 2 GB, taken in batches: {spilled.median:.0f} s, "
        f"peak memory of the process {spilled.peak:,.0f} MiB.",
    )


def beside(spine: str, rows_per_key: int) -> list[list[str]]:
    """The lines of one question, its sides taken in turns."""
    sides = {name: Measured() for name in ("reference", "ours", "ours (SELECT)", "ours, to_df()", FEAST)}
    for round_ in range(ROUNDS):
        for name, found in sides.items():
            long = name == FEAST and spine == "1M"
            if round_ == 0 or not long:
                measured(name, spine, rows_per_key, found, times=2 if long and rows_per_key > 10 else TIMES + 1)
    base, feast = sides["reference"].median, sides[FEAST].median
    return [
        [
            f"{rows_per_key:,}", spine, name, f"{found.median:.2f} s", f"{found.median / base:.2f}",
            f"{feast / found.median:.1f}", f"{found.peak:,.0f} MiB",
        ]
        for name, found in sides.items()
    ]  # fmt: skip


if __name__ == "__main__":
    side(*sys.argv[1:]) if len(sys.argv) > 1 else main()
