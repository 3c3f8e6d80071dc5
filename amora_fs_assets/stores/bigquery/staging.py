"""Staged tables: the rows of a query or of memory, in a table that BigQuery drops after a week."""

from __future__ import annotations

import hashlib
import io
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet
from google.cloud import bigquery
from ibis.expr.types import Table

from amora_fs_assets.domain.arrow import in_microseconds
from amora_fs_assets.domain.places.external import places_of
from amora_fs_assets.stores.bigquery.dataset import Dataset, tables_of
from amora_fs_assets.stores.bigquery.tables import quoted

_STAGED_FOR = timedelta(days=7)
"""The expiration of staged tables, after which BigQuery drops what a killed process left behind."""
_MARK = "amora_fs_content"
"""The label of a staged table with a hash of its content."""


def select_into(dataset: Dataset, staged: str, sql: str, query: Table | None, *, clustered_by: str) -> None:
    """Write the rows of a SELECT to a new table. A retry takes over the job of the same `query` over the same rows."""
    with dataset.explained(query):
        clustered = f"CLUSTER BY {quoted(clustered_by)} " if clustered_by else ""
        mark = _hashed(sql, clustered, *_states(dataset, query)) if query is not None else uuid.uuid4().hex[:32]
        expires = (datetime.now(UTC) + _STAGED_FOR).isoformat()
        options = f"expiration_timestamp = TIMESTAMP '{expires}', labels = [('{_MARK}', '{mark}')]"
        dataset.jobs.query(
            f"CREATE OR REPLACE TABLE {quoted(staged)} {clustered}OPTIONS ({options}) AS {sql}",
            step="stage",
            identity=f"{staged} {mark}",
            remains=lambda: _holds(dataset, staged, mark),
        )


def load(dataset: Dataset, rows: pa.Table, table: str) -> None:
    """Write the rows to a new table, by a load job."""
    dataset.create(table.rpartition(".")[0])
    file = io.BytesIO()
    pyarrow.parquet.write_table(in_microseconds(rows), file)
    # The types come from the file. Lists are read as lists rather than as records with a list field.
    parquet = bigquery.ParquetOptions()
    parquet.enable_list_inference = True
    config = bigquery.LoadJobConfig(
        source_format="PARQUET", write_disposition="WRITE_TRUNCATE", parquet_options=parquet
    )
    mark = hashlib.sha256(file.getbuffer()).hexdigest()[:32]
    with dataset.explained():
        dataset.jobs.load(file, table, config, identity=f"{table} {mark}", remains=lambda: _holds(dataset, table, mark))
        loaded = dataset.client.get_table(table, **dataset.jobs.call)
        loaded.expires = datetime.now(UTC) + _STAGED_FOR
        loaded.labels = {_MARK: mark}
        dataset.client.update_table(loaded, ["expires", "labels"], **dataset.jobs.call)


def _states(dataset: Dataset, query: Table) -> Iterator[str]:
    """A token for the state of each table that the query reads."""
    if any(place.table is None for place in places_of(query)):  # the tables of a query are not known
        yield uuid.uuid4().hex
    for table in tables_of(query):
        stored = dataset.client.get_table(table, **dataset.jobs.call)
        is_table = stored.table_type == "TABLE"  # the state of a view is not known
        yield f"{table} {stored.etag} {stored.modified} {stored.num_rows}" if is_table else uuid.uuid4().hex


def _holds(dataset: Dataset, staged: str, mark: str) -> bool:
    stored = dataset.find(staged)
    return stored is not None and stored.labels.get(_MARK) == mark


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]
