"""The offline store that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amora_fs_assets.domain.ports import OfflineStore
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery


def open_offline_store(settings: Settings, client: bigquery.Client | None = None) -> OfflineStore:
    """DuckDB in `settings.home`, or BigQuery, through `client` where one is given."""
    if settings.offline_store == "duckdb":
        from amora_fs_assets.stores.duckdb import DuckDBOfflineStore

        return DuckDBOfflineStore(settings.home, dataset=settings.bigquery_dataset, lock_timeout=settings.lock_timeout)
    from amora_fs_assets.stores.bigquery import BigQueryOfflineStore
    from amora_fs_assets.stores.bigquery_jobs import JobOptions
    from amora_fs_assets.stores.google_clients import bigquery_client, bigquery_storage_client

    return BigQueryOfflineStore(
        client or bigquery_client(settings),
        dataset=settings.bigquery_dataset,
        options=JobOptions(
            location=settings.bigquery_location or None,
            maximum_bytes_billed=settings.bigquery_maximum_bytes_billed,
            priority=settings.bigquery_priority,
            timeout=settings.bigquery_timeout,
            price_per_tib=settings.bigquery_price_per_tib,
            hash_inputs=settings.bigquery_hash_inputs,
        ),
        storage_client=bigquery_storage_client(settings),
    )
