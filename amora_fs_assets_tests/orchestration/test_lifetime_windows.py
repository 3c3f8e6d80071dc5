"""A window without a beginning reads all that there is, and its asset and its plan say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from dagster import TimeWindowPartitionMapping
from ibis.expr.types import Table

from amora_fs_assets import (
    Entity,
    FeatureSchema,
    FeatureView,
    Interval,
    Source,
    SourceSchema,
    Timestamp,
    Windowed,
    rolling,
)
from amora_fs_assets.domain.time import Period
from amora_fs_assets.operations.expressions.tables import scanned_rows
from amora_fs_assets.orchestration.names import Names
from amora_fs_assets.orchestration.partitions import dependency
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore
from amora_fs_assets.windows import Windows, count

START = "2024-01-01"
WINDOWS = Windows("24h", None, at="1d")


class Orders(SourceSchema):
    customer: str
    at: Timestamp
    amount: float


class Paid(FeatureSchema):
    customer: str
    amount: float


class Total(FeatureSchema, windows=WINDOWS):
    customer: str
    orders: Windowed[int]


customer = Entity("customer")
orders = Source("orders", Orders, table="main.orders", timestamp_field="at")
paid = FeatureView(
    "paid", Paid, [customer], [orders], start=START, partitions=Period.DAY,
    transform=lambda orders: orders.select("customer", "amount", event_timestamp=orders["at"]),
)  # fmt: skip


def total(paid: Table, interval: Interval) -> Table:
    return rolling(paid, WINDOWS, by="customer", time="event_timestamp", interval=interval, orders=count())


lifetime = FeatureView(
    "lifetime", Total, [customer], [paid], start=START, partitions=Period.DAY, transform=total
)  # fmt: skip


def test_a_partition_depends_on_all_earlier_partitions() -> None:
    mapping = dependency(lifetime, paid, Names()).partition_mapping
    assert isinstance(mapping, TimeWindowPartitionMapping)
    assert mapping.start_offset <= -(datetime.now(UTC) - datetime(2024, 1, 1, tzinfo=UTC)).days
    assert mapping.allow_nonexistent_upstream_partitions


def test_the_scan_that_a_plan_estimates_is_of_all_rows(tmp_path: Path) -> None:
    with duckdb.connect(tmp_path / "offline.duckdb") as connection:
        connection.execute('CREATE TABLE orders (customer VARCHAR, "at" TIMESTAMPTZ, amount DOUBLE)')
        connection.execute(
            "INSERT INTO orders VALUES ('a', '1850-01-01 00:00:00+00', 1), ('a', '2026-01-01 00:00:00+00', 1)"
        )
    day = Interval("2026-01-02", "2026-01-03")
    store = DuckDBOfflineStore(tmp_path)
    for lookback, rows in [(lifetime.lookback, 2), (timedelta(days=2), 1)]:
        with store.read(scanned_rows(orders, "feature_store", day, lookback)) as batches:
            assert batches.read_all().num_rows == rows
