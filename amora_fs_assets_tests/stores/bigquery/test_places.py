"""Tables of other projects, queries and columns of other types, on BigQuery's emulator."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import ibis.expr.datatypes as dt
import pytest

from amora_fs_assets import Entity, FeatureSchema, FeatureView, Source, SourceSchema, Timestamp
from amora_fs_assets.domain.errors import FeatureStoreError, OfflineStoreError, SourceMismatch, TableNotFound
from amora_fs_assets.operations.expressions.tables import all_rows, check_tables
from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
from amora_fs_assets.stores.bigquery.places import external_table_made
from amora_fs_assets_tests.emulators.bigquery import BigQueryEmulator

pytestmark = pytest.mark.google


class Trips(SourceSchema):
    driver: int
    at: Timestamp
    day: Timestamp
    price: float
    paid: dt.Decimal(38, 9)  # type: ignore[valid-type]


FIELDS: dict[str, Any] = {"field_mapping": {"local": "at"}, "timezone": "Europe/Berlin", "timestamp_field": "at"}
ROW: dict[str, Any] = {
    "driver": 1,
    "at": datetime(2026, 1, 2, 9, tzinfo=UTC),
    "day": datetime(2026, 1, 1, 23, tzinfo=UTC),
    "price": 2.5,
    "paid": Decimal("1.500000000"),
}


@pytest.fixture(scope="module")
def store(bigquery_emulator: BigQueryEmulator) -> Iterator[BigQueryOfflineStore]:
    with bigquery_emulator.client() as client:
        dataset = f"places_{uuid4().hex[:8]}"
        client.create_dataset(dataset, timeout=60)
        client.query_and_wait(
            f"CREATE TABLE {dataset}.trips (DRIVER INT64, local DATETIME, Day DATE, price FLOAT64, paid NUMERIC)"
        )
        client.query_and_wait(
            f"INSERT INTO {dataset}.trips VALUES (1, DATETIME '2026-01-02 10:00:00', DATE '2026-01-02', 2.5, 1.5)"
        )
        yield BigQueryOfflineStore(client, dataset=dataset, storage_client=bigquery_emulator.read_client())


def read(source: Source, store: BigQueryOfflineStore) -> list[dict[str, Any]]:
    check_tables([source], store)
    with store.read(all_rows(source, store.dataset)) as batches:
        rows: list[dict[str, Any]] = batches.read_all().to_pylist()
    return rows


@pytest.mark.parametrize("form", ["{dataset}.trips", "{project}.{dataset}.trips"])
def test_a_table_is_read_as_it_is(store: BigQueryOfflineStore, form: str) -> None:
    table = form.format(dataset=store.dataset, project=store._client.project)
    source = Source("trips", Trips, table=table, **FIELDS)
    assert read(source, store) == [ROW]
    staged = store.stage(all_rows(source, store.dataset), name="trips", run_id="run")
    assert store.columns(staged) is not None


def test_a_query_is_read_as_a_table(store: BigQueryOfflineStore) -> None:
    query = f"SELECT * FROM {store.dataset}.trips WHERE price > 1  -- with a comment"
    assert read(Source("trips", Trips, query=query, **FIELDS), store) == [ROW]


def test_a_column_that_would_lose_values_is_refused_with_the_cast(store: BigQueryOfflineStore) -> None:
    class Whole(FeatureSchema):
        driver: int
        price: int

    view = FeatureView("whole", Whole, [Entity("driver")], table=f"{store.dataset}.trips", timestamp_field="local")
    with pytest.raises(SourceMismatch, match=r"'whole'.*'price'.*CAST\(`price` AS INT64\) AS price"):
        check_tables([view], store)


def test_a_missing_table_is_named(store: BigQueryOfflineStore) -> None:
    with pytest.raises(TableNotFound, match=r"'trips': there is no table .*\.nothing"):
        check_tables([Source("trips", Trips, table=f"{store.dataset}.nothing", timestamp_field="at")], store)
    with pytest.raises(FeatureStoreError):
        check_tables([Source("trips", Trips, query=f"SELECT * FROM {store.dataset}.no", timestamp_field="at")], store)


@pytest.mark.parametrize(
    ("path", "options"),
    [
        ("gs://lake/trips", "(format = 'PARQUET', uris = ['gs://lake/trips/*.parquet'])"),
        ("gs://lake/trips/*.parquet", "(format = 'PARQUET', uris = ['gs://lake/trips/*.parquet'])"),
        ("gs://lake/it's.csv", r"(format = 'CSV', uris = ['gs://lake/it\'s.csv'])"),
    ],
)
def test_files_on_cloud_storage_are_an_external_table(path: str, options: str) -> None:
    made = external_table_made(Source("trips", Trips, path=path, timestamp_field="at").place, "store")
    assert made.startswith("CREATE EXTERNAL TABLE IF NOT EXISTS `store`.`_file_trips_")
    assert made.endswith(f"OPTIONS {options}")


@pytest.mark.parametrize("path", ["data/trips.parquet", "s3://lake/trips"])
def test_a_file_that_bigquery_cannot_read_is_refused(path: str) -> None:
    with pytest.raises(OfflineStoreError, match=f"'trips': BigQuery cannot read {path}.*gs://"):
        external_table_made(Source("trips", Trips, path=path, timestamp_field="at").place, "store")
