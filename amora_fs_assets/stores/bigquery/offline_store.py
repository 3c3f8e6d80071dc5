"""The offline store in BigQuery: google-cloud-bigquery for jobs, the Storage Read API for rows."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet
import sqlglot
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.cloud import bigquery
from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table
from sqlglot import exp

from amora_fs_assets.domain import protocol
from amora_fs_assets.domain.arrow import in_microseconds
from amora_fs_assets.domain.errors import DefinitionNotApplied, OfflineStoreError, SettingsError, TableNotFound
from amora_fs_assets.domain.external import Held, places_of, query_of, sql_of
from amora_fs_assets.domain.ownership import check_owner, of_definitions
from amora_fs_assets.domain.place import Place
from amora_fs_assets.domain.ports.offline import Draft, StoredTable
from amora_fs_assets.domain.protocol import APPLIED_COLUMNS, Applied, belongs, new_incarnation, not_applied, refused
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, Publication
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.table_names import applied_table, publications_table, staged_table
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.stores.bigquery.errors import explained
from amora_fs_assets.stores.bigquery.jobs import JobOptions, Jobs
from amora_fs_assets.stores.bigquery.partitions import changed_late
from amora_fs_assets.stores.bigquery.places import external_table, external_table_made
from amora_fs_assets.stores.bigquery.publication import (
    NOT_APPLIED,
    REFUSED,
    applied_written,
    made_anew,
    needed,
    parameters,
    preparation,
    side_tables,
    taken_of,
    transaction,
    values,
    within,
)
from amora_fs_assets.stores.bigquery.reads import PatientReads
from amora_fs_assets.stores.bigquery.tables import (
    columns_of,
    create,
    describe,
    incarnation_of,
    quoted,
    type_of,
    types_of,
)

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient

_STAGED_FOR = timedelta(days=7)
"""The expiration of staged tables, after which BigQuery drops what a killed process left behind."""
_FEW = 1_000
"""The greatest number of rows for which the query's answer is faster than a read session."""
_MARK = "amora_fs_content"
"""The label of a staged table with a hash of its content."""


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
        self._jobs = Jobs(client, self._options)
        self._datasets: set[str] = set()  # datasets that are known to exist
        self._held: dict[Place, Held] = {}  # as stored_tables found them last

    @property
    def hashing(self) -> str:
        """The name of the hash of inputs, if the settings enable it (it scans all columns); "": rows are counted."""
        return "farm_fingerprint" if self._options.hash_inputs else ""

    def modified(self, table: str) -> str | None:
        """The time of the last change and the number of rows; None for a view, and while rows are being streamed."""
        stored = self._table(table)
        if stored is None or stored.table_type != "TABLE" or stored.streaming_buffer is not None:
            return None
        return f"{stored.modified.isoformat()} {stored.num_rows}"

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's present columns; None for a missing table."""
        stored = self.table(table)
        return None if stored is None else stored.columns

    def table(self, name: str) -> StoredTable | None:
        """The table's present state; None for a missing table."""
        stored = self._table(name)
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
            with self._explained():
                stored = StoredTable(types_of(self._jobs.columns(sql)), "")
        else:
            self._make_dataset(self.dataset)
            with self._explained():
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
        if self._table(applied_table(self.dataset)) is None:
            return ()
        with self._explained():
            names = ", ".join(map(quoted, APPLIED_COLUMNS))
            rows = self._jobs.query(f"SELECT {names} FROM {quoted(applied_table(self.dataset))}")
            return tuple(Applied(**dict(row.items())) for row in rows)

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Replace the rows of `_applied` of these views."""
        if rows:
            self._make_dataset(self.dataset)
            with self._explained():
                self._jobs.query(applied_written(rows, self.dataset), step="apply")

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""
        return sql_of(query, self._held_columns, self.dialect)

    def scanned_bytes(self, query: Table) -> int | None:
        """The bytes that the query would scan, from BigQuery's free dry run."""
        with self._explained(query):
            return self._jobs.scanned_bytes(self.sql(query))

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:
        """The partitions by `time` that changed later than `lateness` after their end, from INFORMATION_SCHEMA."""
        stored = self._table(table)
        if stored is None or stored.time_partitioning is None or stored.time_partitioning.field != time:
            return None
        dataset, _, name = table.rpartition(".")
        with self._explained():
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
                self._load(frame, loaded[name])
            with self._explained(query):
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
        self._make_dataset(self.dataset)
        if isinstance(data, pa.Table):
            self._load(data, staged)
            return staged
        sql = data if isinstance(data, str) else self.sql(data)
        query = None if isinstance(data, str) else data
        with self._explained(query):
            clustered = f"CLUSTER BY {quoted(clustered_by)} " if clustered_by else ""
            mark = _hashed(sql, clustered, *self._states(query)) if query is not None else uuid.uuid4().hex[:32]
            expires = (datetime.now(UTC) + _STAGED_FOR).isoformat()
            options = f"expiration_timestamp = TIMESTAMP '{expires}', labels = [('{_MARK}', '{mark}')]"
            self._jobs.query(
                f"CREATE OR REPLACE TABLE {quoted(staged)} {clustered}OPTIONS ({options}) AS {sql}",
                step="stage",
                identity=f"{staged} {mark}",
                remains=lambda: self._holds(staged, mark),
            )
        return staged

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the rows of the draft's interval by the staged rows of the interval, in one transaction."""
        self._make_dataset(draft.table.rpartition(".")[0])
        with self._explained():
            made = self._client.get_table(staged, **self._jobs.call).created
            self._prepare(draft)
            draft = replace(draft, incarnation=self._make_room(staged, draft))
            with _refusals_explained(draft):
                self._jobs.query(
                    transaction(draft, staged, self.dataset),
                    step="publish",
                    parameters=parameters(draft),
                    identity=f"{staged} {made.isoformat()} {draft.table} {draft.interval}",
                )
            describe(self._client, draft, self._jobs.call)
            publication = self._publications_where(
                "run_id = @run_id AND `table` = @table", run_id=draft.run_id, table=draft.table
            )[-1]
        self.discard(staged)
        return publication

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it exists."""
        with self._explained():
            self._client.delete_table(staged, not_found_ok=True, **self._jobs.call)

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """Publications with sequences greater than `after`, in order: of one name, or of all; see OfflineStore."""
        stored = self._table(self._publications)
        if stored is None:
            return ()
        known = [field.name for field in stored.schema]
        named = "" if name is None else " AND name = @name"
        last = " QUALIFY ROW_NUMBER() OVER (PARTITION BY `table` ORDER BY sequence DESC) = 1" if newest else ""
        with self._explained():
            return self._publications_where(f"sequence > @after{named}{last}", known, after=after, name=name)

    @property
    def _publications(self) -> str:
        return publications_table(self.dataset)

    def _publications_where(
        self, condition: str, known: Iterable[str] = PUBLICATION_COLUMNS, **given: int | str | None
    ) -> tuple[Publication, ...]:
        """The publications that match a condition. `known` are the existing columns; an earlier release made fewer."""
        fields = [column for column in PUBLICATION_COLUMNS if column in set(known)]
        rows = self._jobs.query(
            f"SELECT {', '.join(map(quoted, fields))} FROM {quoted(self._publications)} "
            f"WHERE {condition} ORDER BY sequence",
            parameters=given,
        )
        return of_definitions(str(given.get("name") or "") or None, (Publication(**dict(row.items())) for row in rows))

    def _table(self, name: str) -> bigquery.Table | None:
        with self._explained():
            try:
                return self._client.get_table(name, **self._jobs.call)
            except NotFound as error:
                if "Project" in error.message:
                    raise
                return None

    def _make_dataset(self, name: str) -> None:
        """Create a missing dataset. Raises SettingsError for a dataset in another location than the settings'."""
        if name in self._datasets:
            return
        wanted = bigquery.Dataset(f"{self._client.project}.{name}")
        wanted.location = self._options.location
        with self._explained():
            try:  # creating a dataset needs a permission that is not required for an existing one
                stored = self._client.get_dataset(wanted.reference, **self._jobs.call)
            except NotFound as error:
                if "Project" in error.message:
                    raise
                stored = self._client.create_dataset(wanted, exists_ok=True, **self._jobs.call)
        if self._options.location and stored.location.lower() != self._options.location.lower():
            raise SettingsError(
                f"Dataset {name} is in {stored.location}, but AMORA_FS_BIGQUERY_LOCATION is {self._options.location}. "
                "A dataset cannot move: set AMORA_FS_BIGQUERY_LOCATION to its location, or AMORA_FS_DATASET to a new "
                "dataset."
            )
        self._datasets.add(name)

    def _prepare(self, draft: Draft) -> None:
        """Create the missing tables that a publication needs beside its own table.

        A table of the view's keys is recreated if the keys changed; the next load is then a full one.
        """
        stored = {name: columns_of(found) for name in needed(draft, self.dataset) if (found := self._table(name))}
        for name, columns in side_tables(draft, self.dataset).items():
            if name in stored and stored[name] != {column.name: IBIS_TYPES[column.type] for column in columns}:
                self.discard(name)
                del stored[name]
        if script := preparation(draft, self.dataset, stored):
            self._jobs.query(script, step="prepare")

    def _make_room(self, staged: str, draft: Draft) -> str:
        """Create or change the table as the draft needs it, and return its incarnation.

        Raises OfflineStoreError if rows of other types would stay.
        """
        table, new = self._table(draft.table), new_incarnation(draft.view_id or "")
        if table is None:
            # Another publication may create the table first; then the table has its incarnation.
            self._jobs.query(
                f"CREATE {create(draft, new, anew=False)};{made_anew(draft, self.dataset)}", step="prepare"
            )
            made = self._table(draft.table)
            return new if made is None else incarnation_of(made)
        stored = columns_of(table)
        published = self._publications_where("`table` = @table", table=draft.table)
        last = published[-1] if published else None
        if not draft.of_external:
            rows = f"SELECT count(*) FROM {quoted(draft.table)}"
            check_owner(draft, last, filled=not last and self._one(rows) != (0,))
        incarnation = protocol.incarnation_of(incarnation_of(table), last)
        another = draft.view_id is not None and not belongs(incarnation, draft.view_id)
        another = another or (draft.of_external and last is None)
        if another and draft.appended and not draft.of_external:
            raise OfflineStoreError(
                f"Table {draft.table} holds rows of an earlier feature view '{draft.name}'. "
                f"Compute the view first: `amora-fs compute --feature-views {draft.name}`."
            )
        missing = [column for column in draft.columns if column.name not in stored]
        others = [c for c in draft.columns if stored.get(c.name, IBIS_TYPES[c.type]) != IBIS_TYPES[c.type]]
        by_hand = bool(missing and last and draft.schema_hash and last.schema_hash == draft.schema_hash)
        if (others or by_hand) and not another and not draft.of_external:
            (remaining,) = self._one(f"SELECT count(*) FROM {quoted(draft.table)} WHERE NOT ({within(draft)})")
            if remaining:
                problem = (
                    f"holds rows of other types than '{draft.name}' has now ({', '.join(c.name for c in others)})"
                    if others
                    else f"lost its column '{missing[0].name}' since its last publication"
                )
                raise OfflineStoreError(
                    f"Table {draft.table} {problem}, and old rows would stay: "
                    "compute the whole view at once, from its start, or rename the view."
                )
        if others or another:
            # The table is replaced together with its rows, so that readers see either table. The publication follows.
            self._jobs.query(
                f"CREATE OR REPLACE {create(draft, new)} AS SELECT {values(draft)} FROM {quoted(staged)} "
                f"WHERE {taken_of(draft)};{made_anew(draft, self.dataset)}",
                step="prepare",
            )
            return new
        for column in missing:
            added = f"ADD COLUMN IF NOT EXISTS {quoted(column.name)} {type_of(column)}"
            self._jobs.query(f"ALTER TABLE {quoted(draft.table)} {added}", step="prepare")
        return incarnation

    def _states(self, query: Table) -> Iterator[str]:
        """A token for the state of each table that the query reads."""
        if any(place.table is None for place in places_of(query)):  # the tables of a query are not known
            yield uuid.uuid4().hex
        for table in _tables(query):
            stored = self._client.get_table(table, **self._jobs.call)
            is_table = stored.table_type == "TABLE"  # the state of a view is not known
            yield f"{table} {stored.etag} {stored.modified} {stored.num_rows}" if is_table else uuid.uuid4().hex

    def _holds(self, staged: str, mark: str) -> bool:
        stored = self._table(staged)
        return stored is not None and stored.labels.get(_MARK) == mark

    def _missing(self, query: Table) -> str:
        """The missing tables of the query, since BigQuery's error only names a missing dataset."""
        return ", ".join(table for table in _tables(query) if self._table(table) is None)

    def _load(self, rows: pa.Table, table: str) -> None:
        self._make_dataset(table.rpartition(".")[0])
        file = io.BytesIO()
        pyarrow.parquet.write_table(in_microseconds(rows), file)
        # The types come from the file. Lists are read as lists rather than as records with a list field.
        parquet = bigquery.ParquetOptions()
        parquet.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_TRUNCATE", parquet_options=parquet
        )
        mark = hashlib.sha256(file.getbuffer()).hexdigest()[:32]
        with self._explained():
            self._jobs.load(file, table, config, identity=f"{table} {mark}", remains=lambda: self._holds(table, mark))
            loaded = self._client.get_table(table, **self._jobs.call)
            loaded.expires = datetime.now(UTC) + _STAGED_FOR
            loaded.labels = {_MARK: mark}
            self._client.update_table(loaded, ["expires", "labels"], **self._jobs.call)

    def _one(self, sql: str) -> tuple[Any, ...]:
        (row,) = self._jobs.query(sql)
        found: tuple[Any, ...] = row.values()
        return found

    @contextmanager
    def _explained(self, query: Table | None = None) -> Iterator[None]:
        try:
            with explained(self._client.project):
                yield
        except TableNotFound as error:
            missing = self._missing(query) if query is not None else ""
            if not missing:
                raise
            raise TableNotFound(
                f"A table does not exist yet: {missing}. Fill it first: `amora-fs compute`, or its asset."
            ) from error


@contextmanager
def _refusals_explained(draft: Draft) -> Iterator[None]:
    """Raise the errors of the transaction's checks as DefinitionNotApplied and PublicationRefused."""
    try:
        yield
    except GoogleAPIError as error:
        if NOT_APPLIED in str(error):
            raise DefinitionNotApplied(not_applied(draft.name)) from error
        found = re.search(rf"{REFUSED} (\d+) (\S+)", str(error))
        if found is None:
            raise
        raise refused(draft.name, draft.table, run_id=found[2], sequence=int(found[1])) from error


def _tables(query: Table) -> list[str]:
    other = {place.reference for place in places_of(query) if place.table is None}
    found = (node for node in query.op().find(UnboundTable) if node.namespace.database)
    names = {".".join(filter(None, (node.namespace.catalog, node.namespace.database, node.name))) for node in found}
    return sorted(names - other)


def _hashed(*parts: str) -> str:
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


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
