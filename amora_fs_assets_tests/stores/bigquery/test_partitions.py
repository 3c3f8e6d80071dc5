"""Which partitions of a BigQuery table were changed later than its rows may become known."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from amora_fs_assets import Interval, Source, SourceSchema, Timestamp
from amora_fs_assets.operations.offline.lateness import overdue
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.bigquery.partitions import changed_late
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator

DAY = timedelta(days=1)
_numbers = itertools.count()


def at(month: int, day: int, hour: int = 0) -> datetime:
    return datetime(2026, month, day, hour, tzinfo=UTC)


def partition(name: str | None, changed: datetime | None) -> dict[str, Any]:
    return {"partition_id": name, "last_modified_time": changed}


@pytest.mark.parametrize(
    ("period", "name", "end"),
    [
        ("HOUR", "2026020105", at(2, 1, 6)),
        ("DAY", "20260201", at(2, 2)),
        ("MONTH", "202602", at(3, 1)),
        ("MONTH", "202612", datetime(2027, 1, 1, tzinfo=UTC)),
        ("YEAR", "2026", datetime(2027, 1, 1, tzinfo=UTC)),
        ("YEAR", "2024", datetime(2025, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_partition_counts_from_the_first_change_after_its_end_and_the_lateness(
    period: str, name: str, end: datetime
) -> None:
    assert changed_late([partition(name, end + DAY)], period, DAY) == ()
    (found,) = changed_late([partition(name, end + DAY + timedelta(microseconds=1))], period, DAY) or ()
    assert found.end == end
    assert found.contains(end - timedelta(microseconds=1))


def test_a_partition_of_which_nobody_knows_when_it_was_changed_counts() -> None:
    assert changed_late([{"partition_id": "20260201"}], "DAY", DAY) == (Interval(at(2, 1), at(2, 2)),)


def test_rows_without_a_time_do_not_count_and_streamed_rows_may_be_of_any_partition() -> None:
    late = partition("__NULL__", at(12, 1))
    assert changed_late([late, partition(None, at(12, 1))], "DAY", DAY) == ()
    assert changed_late([late, partition("__UNPARTITIONED__", None)], "DAY", DAY) is None


@pytest.fixture
def store(bigquery_emulator: BigQueryEmulator) -> Iterator[BigQueryOfflineStore]:
    with bigquery_emulator.client() as client:
        dataset = f"partitions_{next(_numbers)}"
        client.create_dataset(dataset, timeout=60)
        yield BigQueryOfflineStore(client, dataset=dataset)


def made(store: BigQueryOfflineStore, partitioned: str) -> str:
    table = f"{store.dataset}.orders"
    for sql in (
        f"CREATE TABLE {table} (`at` TIMESTAMP, loaded TIMESTAMP) {partitioned}",
        f"INSERT INTO {table} SELECT TIMESTAMP '2026-02-01 05:00:00+00', TIMESTAMP '2026-02-03 05:00:00+00'",
    ):
        store._client.query(sql, timeout=60).result(timeout=60)
    return table


@pytest.mark.google
def test_the_partitions_are_those_of_the_table(store: BigQueryOfflineStore) -> None:
    table = made(store, "PARTITION BY TIMESTAMP_TRUNC(`at`, DAY)")
    # The emulator does not say when a partition was changed.
    assert store.changed_late(table, "at", DAY) == (Interval(at(2, 1), at(2, 2)),)
    assert store.changed_late(table, "loaded", DAY) is None  # partitioned by another column


class Orders(SourceSchema):
    at: Timestamp
    loaded: Timestamp


@pytest.mark.google
@pytest.mark.parametrize(("bound", "rows"), [(DAY, 1), (2 * DAY, 0)])
def test_rows_beyond_the_bound_are_found_in_those_partitions(
    bound: timedelta, rows: int, store: BigQueryOfflineStore
) -> None:
    table = made(store, "PARTITION BY TIMESTAMP_TRUNC(`at`, DAY)")
    source = Source("orders", Orders, table, "at", "loaded", max_lateness=bound)
    found = overdue(source, Interval(at(2, 3), at(2, 4)), store)
    assert (found.rows if found else 0) == rows
    assert overdue(source, Interval(at(2, 4), at(2, 5)), store) is None


@pytest.mark.google
def test_a_table_without_partitions_says_nothing(store: BigQueryOfflineStore) -> None:
    assert store.changed_late(made(store, ""), "at", DAY) is None
