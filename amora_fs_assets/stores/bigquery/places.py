"""Queries and files on Cloud Storage as places of rows."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

from amora_fs_assets.domain.errors import OfflineStoreError
from amora_fs_assets.domain.places.place import DATABASES, Place
from amora_fs_assets.stores.bigquery.tables import quoted


def external_table(place: Place, dataset: str) -> str:
    """The name of the external table through which BigQuery reads the files of a place."""
    digest = hashlib.sha256(str(place.where.path).encode()).hexdigest()[:12]
    return f"{dataset}._file_{place.reference.rpartition('.')[2]}_{digest}"


def external_table_made(place: Place, dataset: str) -> str:
    """The statement that creates the external table, unless it exists. BigQuery reads the files at each query."""
    path = str(place.where.path)
    name = path.rstrip("/").lower()
    if not path.startswith("gs://") or name.endswith(DATABASES):
        raise OfflineStoreError(
            f"{place.owner}: BigQuery cannot read {path}. Give Parquet or CSV files on Cloud Storage, such as "
            "path='gs://bucket/folder'."
        )
    suffix = "csv" if name.endswith((".csv", ".csv.gz")) else "parquet"
    files = path if PurePosixPath(name).suffix else f"{path.rstrip('/')}/*.{suffix}"
    doubled = files.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"CREATE EXTERNAL TABLE IF NOT EXISTS {quoted(external_table(place, dataset))} "
        f"OPTIONS (format = '{suffix.upper()}', uris = ['{doubled}'])"
    )
