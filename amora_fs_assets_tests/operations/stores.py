"""The three ways in which a point-in-time join runs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
from google.cloud import bigquery

from amora_fs_assets.domain.arrow import in_microseconds
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore


class MergingDuckDBStore(DuckDBOfflineStore):
    """DuckDB without ASOF joins: the point-in-time join is then the expression that BigQuery runs."""

    dialect = replace(DUCKDB, has_asof_join=False)


def fill(home: Path, tables: Mapping[str, pa.Table]) -> None:
    """Make the tables, `dataset.table` each, and no others, like another system's pipeline."""
    home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for schema in ("feature_store", "theirs"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
        for name, rows in tables.items():
            connection.register("given", in_microseconds(rows))
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name.partition('.')[0]}")
            connection.execute(f"CREATE TABLE {name} AS FROM given")


def fill_bigquery(client: bigquery.Client, tables: Mapping[str, pa.Table]) -> None:
    """Load the tables, `dataset.table` each."""
    for name, rows in tables.items():
        client.create_dataset(name.partition(".")[0], exists_ok=True, timeout=60)
        file = io.BytesIO()
        pyarrow.parquet.write_table(in_microseconds(rows), file)
        file.seek(0)
        config = bigquery.LoadJobConfig(source_format="PARQUET", write_disposition="WRITE_TRUNCATE")
        client.load_table_from_file(file, name, job_config=config, timeout=60).result(timeout=60)
