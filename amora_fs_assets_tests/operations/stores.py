"""The three ways in which a point-in-time join runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from amora_fs_assets.domain.ports import Engine
from amora_fs_assets.stores.duckdb import DuckDBOfflineStore


class MergingDuckDBStore(DuckDBOfflineStore):
    """DuckDB, asked with the expression that is BigQuery's."""

    engine: Engine = "bigquery"


def fill(home: Path, tables: Mapping[str, pa.Table]) -> None:
    """Make the tables, `dataset.table` each, and no others: as somebody else's pipeline would."""
    home.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(home / "offline.duckdb") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for schema in ("feature_store", "theirs"):
            connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE; CREATE SCHEMA {schema}")
        for name, rows in tables.items():
            connection.register("given", rows)
            connection.execute(f"CREATE TABLE {name} AS FROM given")
