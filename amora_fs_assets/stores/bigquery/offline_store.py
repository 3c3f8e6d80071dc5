"""The offline store in BigQuery: google-cloud-bigquery for jobs, the Storage Read API for rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import pyarrow as pa
import sqlglot
from google.cloud import bigquery
from ibis.expr.types import Table
from sqlglot import exp

from amora_fs_assets.domain.places.external import Held, query_of, sql_of
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.ports.offline import Draft, StoredTable
from amora_fs_assets.domain.protocol import APPLIED_COLUMNS, Applied
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import applied_table, publications_table, staged_table
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.stores.bigquery import staging
from amora_fs_assets.stores.bigquery.dataset import Dataset
from amora_fs_assets.stores.bigquery.destination import make_room, prepare
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.bigquery.jobs import JobOptions
from amora_fs_assets.stores.bigquery.partitions import changed_late
from amora_fs_assets.stores.bigquery.places import external_table, external_table_made
from amora_fs_assets.stores.bigquery.publication import applied_written, parameters, refusals_explained, transaction
from amora_fs_assets.stores.bigquery.reads import PatientReads
from amora_fs_assets.stores.bigquery.tables import columns_of, describe, incarnation_of, quoted, types_of

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient

_FEW = 1_000
"""The greatest number of rows for which the query's answer is faster than a read session."""


class BigQueryOfflineStore:
    """OfflineStore in a BigQuery dataset."""

    dialect = BIGQUERY

    def __init__(
        self,
        client: bigquery.Client,
        *,
        dataset: str,
        options: JobOptions | None = None,
        storage_client: BigQueryReadClient | None = None,
    ) -> None:
        self.dataset = dataset
        self._client = client
        self._options = options or JobOptions()
        # Any, since Google's annotation requires its own class, although only two methods are called.
        self._reads: Any = storage_client and PatientReads(storage_client, self._options.timeout)
        self._dataset = Dataset(client, dataset, self._options)
        self._jobs = self._dataset.jobs
        self._held: dict[Place, Held] = {}  # as stored_tables found them last

    @property
    def hashing(self) -> str:
        """The name of the hash of inputs, if the settings enable it (it scans all columns); "": rows are counted."""
        return "farm_fingerprint" if self._options.hash_inputs else ""

    def modified(self, table: str) -> str | None:
        """The time of the last change and the number of rows; None for a view, and while rows are being streamed."""
        stored = self._dataset.find(table)
        if stored is None or stored.table_type != "TABLE" or stored.streaming_buffer is not None:
            return None
        return f"{stored.modified.isoformat()} {stored.num_rows}"

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's present columns; None for a missing table."""
        stored = self.table(table)
        return None if stored is None else stored.columns

    def table(self, name: str) -> StoredTable | None:
        """The table's present state; None for a missing table."""
        stored = self._dataset.find(name)
        return None if stored is None else StoredTable(columns_of(stored), incarnation_of(stored))

    def stored_tables(self, names: Sequence[str | Place]) -> list[StoredTable | None]:
        """As `table`, for several tables and places in parallel."""
        with ThreadPoolExecutor(max_workers=16) as pool:
            return list(pool.map(lambda name: self.table(name) if isinstance(name, str) else self._seen(name), names))

    def looked_for(self, place: Place) -> str:  # noqa: ARG002  (the port's)
        """Empty: the place's own text says it."""
        return ""

    def _seen(self, place: Place) -> StoredTable | None:
        """The place's present columns, remembered for `sql`."""
        self._held.pop(place, None)
        sql = query_of(place, self.dialect) if place.where.query else ""
        if place.table is not None:
            stored = self.table(place.table)
        elif sql:
            with self._dataset.explained():
                stored = StoredTable(types_of(self._jobs.columns(sql)), "")
        else:
            self._dataset.create()
            with self._dataset.explained():
                self._jobs.query(external_table_made(place, self.dataset), step="prepare")
            stored = self.table(external_table(place, self.dataset))
            sql = f"SELECT * FROM {quoted(external_table(place, self.dataset))}"
        if stored is not None:
            self._held[place] = Held(stored.columns, sql)
        return stored

    def _held_columns(self, place: Place) -> Held | None:
        if place not in self._held:
            self._seen(place)
        return self._held.get(place)

    def applied(self) -> tuple[Applied, ...]:
        """The rows of `_applied`."""
        if self._dataset.find(applied_table(self.dataset)) is None:
            return ()
        with self._dataset.explained():
            names = ", ".join(map(quoted, APPLIED_COLUMNS))
            rows = self._jobs.query(f"SELECT {names} FROM {quoted(applied_table(self.dataset))}")
            return tuple(Applied(**dict(row.items())) for row in rows)

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Replace the rows of `_applied` of these views."""
        if rows:
            self._dataset.create()
            with self._dataset.explained():
                self._jobs.query(applied_written(rows, self.dataset), step="apply")

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""
        return sql_of(query, self._held_columns, self.dialect)

    def scanned_bytes(self, query: Table) -> int | None:
        """The bytes that the query would scan, from BigQuery's free dry run."""
        with self._dataset.explained(query):
            return self._jobs.scanned_bytes(self.sql(query))

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:
        """The partitions by `time` that changed later than `lateness` after their end, from INFORMATION_SCHEMA."""
        stored = self._dataset.find(table)
        if stored is None or stored.time_partitioning is None or stored.time_partitioning.field != time:
            return None
        dataset, _, name = table.rpartition(".")
        with self._dataset.explained():
            rows = self._jobs.query(
                f"SELECT * FROM {quoted(dataset)}.INFORMATION_SCHEMA.PARTITIONS WHERE table_name = @name",
                parameters={"name": name},
            )
            return changed_late([dict(row.items()) for row in rows], stored.time_partitioning.type_, lateness)

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        """Stream the query's rows."""
        schema = query.schema().to_pyarrow()
        loaded: dict[str, str] = {}
        try:
            for name, frame in (frames or {}).items():
                loaded[name] = f"{self.dataset}._frame_{uuid.uuid4().hex}"
                staging.load(self._dataset, frame, loaded[name])
            with self._dataset.explained(query):
                rows = self._jobs.query(_renamed(self.sql(query), loaded))
                few = rows.total_rows is not None and rows.total_rows <= _FEW
                batches = rows.to_arrow_iterable(bqstorage_client=None if few else self._reads)
                yield pa.RecordBatchReader.from_batches(
                    schema, (batch.select(schema.names).cast(schema) for batch in batches)
                )
        finally:
            for table in loaded.values():
                self.discard(table)

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:
        """Write the rows of a query, a SELECT or an Arrow table to a new table; return its name."""
        staged = staged_table(name, run_id, self.dataset)
        self._dataset.create()
        if isinstance(data, pa.Table):
            staging.load(self._dataset, data, staged)
            return staged
        sql = data if isinstance(data, str) else self.sql(data)
        query = None if isinstance(data, str) else data
        staging.select_into(self._dataset, staged, sql, query, clustered_by=clustered_by)
        return staged

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the rows of the draft's interval by the staged rows of the interval, in one transaction."""
        self._dataset.create(draft.table.rpartition(".")[0])
        with self._dataset.explained():
            made = self._client.get_table(staged, **self._jobs.call).created
            prepare(self._dataset, draft)
            draft = replace(draft, incarnation=make_room(self._dataset, staged, draft))
            with refusals_explained(draft):
                self._jobs.query(
                    transaction(draft, staged, self.dataset),
                    step="publish",
                    parameters=parameters(draft),
                    identity=f"{staged} {made.isoformat()} {draft.table} {draft.interval}",
                )
            describe(self._client, draft, self._jobs.call)
            publication = self._dataset.publications(
                "run_id = @run_id AND `table` = @table", run_id=draft.run_id, table=draft.table
            )[-1]
        self.discard(staged)
        return publication

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it exists."""
        self._dataset.discard(staged)

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """Publications with sequences greater than `after`, in order: of one name, or of all; see OfflineStore."""
        stored = self._dataset.find(publications_table(self.dataset))
        if stored is None:
            return ()
        known = [field.name for field in stored.schema]
        named = "" if name is None else " AND name = @name"
        last = " QUALIFY ROW_NUMBER() OVER (PARTITION BY `table` ORDER BY sequence DESC) = 1" if newest else ""
        with self._dataset.explained():
            return self._dataset.publications(f"sequence > @after{named}{last}", known, after=after, name=name)


def _renamed(sql: str, tables: Mapping[str, str]) -> str:
    """The query with the frames' names replaced by the tables that hold them."""
    if not tables:
        return sql
    tree = sqlglot.parse_one(sql, dialect="bigquery")
    for table in list(tree.find_all(exp.Table)):
        if not table.db and table.name in tables:
            dataset, _, name = tables[table.name].rpartition(".")
            alias = table.alias or table.name
            table.replace(exp.alias_(exp.table_(name, db=dataset, quoted=True), alias, table=True, quoted=True))
    return str(tree.sql(dialect="bigquery"))
