"""The store's dataset, as all parts of the store use it: tables, publications, and errors with their fix."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud import bigquery
from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import SettingsError, TableNotFound
from amora_fs_assets.domain.ownership import of_definitions
from amora_fs_assets.domain.places.external import places_of
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, Publication
from amora_fs_assets.domain.table_names import publications_table
from amora_fs_assets.stores.bigquery.errors import explained
from amora_fs_assets.stores.bigquery.jobs import JobOptions, Jobs
from amora_fs_assets.stores.bigquery.tables import quoted


class Dataset:
    """A dataset of the client's project, in which the store keeps its tables."""

    def __init__(self, client: bigquery.Client, name: str, options: JobOptions) -> None:
        self.name = name
        self.client = client
        self.jobs = Jobs(client, options)
        self._location = options.location
        self._existing: set[str] = set()  # datasets that are known to exist

    def find(self, name: str) -> bigquery.Table | None:
        """The table's present state; None for a missing table."""
        with self.explained():
            try:
                return self.client.get_table(name, **self.jobs.call)
            except NotFound as error:
                if "Project" in error.message:
                    raise
                return None

    def create(self, name: str | None = None) -> None:
        """Create a missing dataset: this one, or the one of the name.

        Raises SettingsError for a dataset in another location than the settings'.
        """
        name = name or self.name
        if name in self._existing:
            return
        wanted = bigquery.Dataset(f"{self.client.project}.{name}")
        wanted.location = self._location
        with self.explained():
            try:  # creating a dataset needs a permission that is not required for an existing one
                stored = self.client.get_dataset(wanted.reference, **self.jobs.call)
            except NotFound as error:
                if "Project" in error.message:
                    raise
                stored = self.client.create_dataset(wanted, exists_ok=True, **self.jobs.call)
        if self._location and stored.location.lower() != self._location.lower():
            raise SettingsError(
                f"Dataset {name} is in {stored.location}, but AMORA_FS_BIGQUERY_LOCATION is {self._location}. "
                "A dataset cannot move: set AMORA_FS_BIGQUERY_LOCATION to its location, or AMORA_FS_DATASET to a new "
                "dataset."
            )
        self._existing.add(name)

    def discard(self, table: str) -> None:
        """Drop a table, if it exists."""
        with self.explained():
            self.client.delete_table(table, not_found_ok=True, **self.jobs.call)

    def publications(
        self, condition: str, known: Iterable[str] = PUBLICATION_COLUMNS, **given: int | str | None
    ) -> tuple[Publication, ...]:
        """The publications that match a condition. `known` are the existing columns; an earlier release made fewer."""
        fields = [column for column in PUBLICATION_COLUMNS if column in set(known)]
        rows = self.jobs.query(
            f"SELECT {', '.join(map(quoted, fields))} FROM {quoted(publications_table(self.name))} "
            f"WHERE {condition} ORDER BY sequence",
            parameters=given,
        )
        return of_definitions(str(given.get("name") or "") or None, (Publication(**dict(row.items())) for row in rows))

    def one(self, sql: str) -> tuple[Any, ...]:
        """The only row of a query."""
        (row,) = self.jobs.query(sql)
        found: tuple[Any, ...] = row.values()
        return found

    @contextmanager
    def explained(self, query: Table | None = None) -> Iterator[None]:
        """Raise the errors of Google's client as this package's; of the query, with the names of its missing tables."""
        try:
            with explained(self.client.project):
                yield
        except TableNotFound as error:
            # BigQuery's error only names a missing dataset.
            read = [] if query is None else tables_of(query)
            missing = ", ".join(name for name in read if self.find(name) is None)
            if not missing:
                raise
            raise TableNotFound(
                f"A table does not exist yet: {missing}. Fill it first: `amora-fs compute`, or its asset."
            ) from error


def tables_of(query: Table) -> list[str]:
    """The names of the tables that a query reads, without the tables of other places."""
    other = {place.reference for place in places_of(query) if place.table is None}
    found = (node for node in query.op().find(UnboundTable) if node.namespace.database)
    names = {".".join(filter(None, (node.namespace.catalog, node.namespace.database, node.name))) for node in found}
    return sorted(names - other)
