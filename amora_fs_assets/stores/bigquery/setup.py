"""Opens the offline store in BigQuery, and describes its tables for Dagster's pages and for Feast."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from amora_fs_assets.domain.places.place import Where
from amora_fs_assets.settings import Settings

if TYPE_CHECKING:
    from google.cloud import bigquery

    from amora_fs_assets.domain.feature_view import FeatureView
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


def _with_ends(view: FeatureView, settings: Settings) -> str:
    from amora_fs_assets.domain.ibis_types import IBIS_TYPES
    from amora_fs_assets.domain.places.ends import ends_as_rows
    from amora_fs_assets.domain.places.external import Held, external, sql_of
    from amora_fs_assets.stores.bigquery.dialect import BIGQUERY

    place = view.place
    assert place is not None, "only rows of external tables end"
    if place.table is not None and place.table.count(".") == 1 and settings.bigquery_project:
        place = replace(place, where=replace(place.where, table=f"{settings.bigquery_project}.{place.table}"))
    columns = {place.stored_name(column.name): IBIS_TYPES[column.type] for column in place.columns}
    held = Held(columns, place.where.query or "")
    return sql_of(ends_as_rows(external(place), view), lambda _: held, BIGQUERY)


def feast_source(where: Where, settings: Settings, ending: FeatureView | None = None) -> dict[str, Any]:
    """The rows as a Feast data source (feast.infra.offline_stores.bigquery_source).

    For a view whose rows end, a query that Feast's join, which does not know valid_to, can read: see `ends_as_rows`.
    """
    if ending is not None:
        where = Where(where.table, _with_ends(ending, settings))
    table = where.table or ""
    if settings.bigquery_project and table.count(".") == 1:
        table = f"{settings.bigquery_project}.{table}"
    return {
        "type": "BATCH_BIGQUERY",
        "dataSourceClassType": "feast.infra.offline_stores.bigquery_source.BigQuerySource",
        "bigqueryOptions": {"query": where.query} if where.query else {"table": table},
    }
