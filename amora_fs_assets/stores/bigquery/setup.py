"""Opens the offline store in BigQuery, and describes its tables for Dagster's pages and for Feast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from amora_fs_assets.domain.place import Where
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery

    from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore

CONSOLE = "https://console.cloud.google.com/bigquery"


def opened(settings: Settings, client: bigquery.Client | None = None) -> BigQueryOfflineStore:
    """The offline store in the settings' project, with `client` if given."""
    from amora_fs_assets.stores.bigquery.jobs import JobOptions
    from amora_fs_assets.stores.bigquery.offline_store import BigQueryOfflineStore
    from amora_fs_assets.stores.google_clients import bigquery_client, bigquery_storage_client

    return BigQueryOfflineStore(
        client or bigquery_client(settings),
        dataset=settings.dataset,
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


def table_page(table: str, settings: Settings) -> dict[str, str]:
    """The table's full name and its page in the console; empty if the project is unknown."""
    if not settings.bigquery_project:
        return {}
    *project, dataset, name = table.split(".")
    where = {"p": ".".join(project) or settings.bigquery_project, "d": dataset, "t": name, "page": "table"}
    return {"name": ".".join([where["p"], dataset, name]), "BigQuery": f"{CONSOLE}?{urlencode(where)}"}


def feast_source(where: Where, settings: Settings) -> dict[str, Any]:
    """The rows as a Feast data source (feast.infra.offline_stores.bigquery_source)."""
    table = where.table or ""
    if settings.bigquery_project and table.count(".") == 1:
        table = f"{settings.bigquery_project}.{table}"
    return {
        "type": "BATCH_BIGQUERY",
        "dataSourceClassType": "feast.infra.offline_stores.bigquery_source.BigQuerySource",
        "bigqueryOptions": {"query": where.query} if where.query else {"table": table},
    }
