"""The offline store in BigQuery."""

from __future__ import annotations

import hashlib
import io
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
import pyarrow.parquet
import sqlglot
from google.api_core.exceptions import GoogleAPIError, NotFound
from google.cloud import bigquery
from ibis.backends.bigquery.datatypes import BigQuerySchema
from ibis.expr.operations import UnboundTable
from ibis.expr.types import Table
from sqlglot import exp

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OfflineStoreError, TableNotFound
from amora_fs_assets.domain.meter import scanned
from amora_fs_assets.domain.ports import Draft, Engine
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.schema import IBIS_TYPES
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    from google.cloud.bigquery_storage import BigQueryReadClient

_TYPES = {
    DataType.INT64: "INT64",
    DataType.FLOAT64: "FLOAT64",
    DataType.STRING: "STRING",
    DataType.BOOLEAN: "BOOL",
    DataType.BYTES: "BYTES",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP",
    DataType.DECIMAL: "NUMERIC",
}
_PUBLICATION: dict[str, str] = {
    "sequence": "INT64", "name": "STRING", "table": "STRING", "start": "TIMESTAMP", "end": "TIMESTAMP",
    "rows": "INT64", "run_id": "STRING", "definition_hash": "STRING", "schema_hash": "STRING", "sql_hash": "STRING",
    "published_at": "TIMESTAMP",
}  # fmt: skip
_DEADLINE = 600.0  # seconds that a job may take
_TRIES = 5  # of a publication, when another one came between
_STAGED_FOR = 7  # days after which BigQuery itself drops what a killed process left


class BigQueryOfflineStore:
    """OfflineStore in a dataset of BigQuery, through google-cloud-bigquery."""

    engine: Engine = "bigquery"

    def __init__(
        self,
        client: bigquery.Client,
        *,
        dataset: str,
        location: str = "",
        maximum_bytes_billed: int | None = None,
        storage_client: BigQueryReadClient | None = None,
    ) -> None:
        self._client = client
        self.dataset = dataset
        self._location = location or None
        self._maximum_bytes_billed = maximum_bytes_billed
        self._storage_client = storage_client

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's columns as it stands; None where there is no such table."""
        with self._explained():
            try:
                schema = self._client.get_table(table, timeout=_DEADLINE).schema
            except NotFound:
                return None
        return {name: _as_declared(type_) for name, type_ in BigQuerySchema.to_ibis(schema).items()}

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""
        return str(ibis.to_sql(query, dialect="bigquery"))

    def scanned_bytes(self, query: Table) -> int | None:
        """What running the query would scan, in bytes, by BigQuery's own dry run, which costs nothing."""
        config = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        with self._explained(query):
            job = self._client.query(self.sql(query), job_config=config, location=self._location, timeout=_DEADLINE)
            return int(job.total_bytes_processed)

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        """The query's rows, streamed."""
        schema = query.schema().to_pyarrow()
        loaded: dict[str, str] = {}
        try:
            for name, frame in (frames or {}).items():
                loaded[name] = f"{self.dataset}._frame_{uuid.uuid4().hex}"
                self._load(frame, loaded[name])
                self._let_expire(loaded[name])
            with self._explained(query):
                rows = self._run(_renamed(self.sql(query), loaded))
                batches = rows.to_arrow_iterable(bqstorage_client=self._storage_client)
                yield pa.RecordBatchReader.from_batches(
                    schema, (batch.select(schema.names).cast(schema) for batch in batches)
                )
        finally:
            for table in loaded.values():
                self.discard(table)

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:
        """Write the rows of a query, a SELECT or an Arrow table to a new table; its `dataset.table`."""
        staged = f"{self.dataset}._staged_{name}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"
        self._make_dataset(self.dataset)
        if isinstance(data, pa.Table):
            self._load(data, staged)
        else:
            rows = data if isinstance(data, str) else self.sql(data)
            with self._explained(None if isinstance(data, str) else data):
                clustered = f"CLUSTER BY {_quoted(clustered_by)} " if clustered_by else ""
                self._run(f"CREATE OR REPLACE TABLE {_quoted(staged)} {clustered}AS {rows}")
        self._let_expire(staged)
        return staged

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the draft's interval of its table by the staged rows in it, in one transaction."""
        if draft.appended:
            raise OfflineStoreError(f"'{draft.name}': BigQuery takes no pushed rows yet. Push with to_offline=False.")
        dropped = f"{self.dataset}._dropped_{draft.name}"
        columns = ", ".join(f"{_quoted(name)} {type_}" for name, type_ in _PUBLICATION.items())
        with self._explained():
            self._make_dataset(draft.table.rpartition(".")[0])
            # BigQuery takes no DDL on permanent tables in a transaction.
            self._run(f"CREATE TABLE IF NOT EXISTS {_quoted(self._publications)} ({columns})")
            self._make_room(staged, draft)
            if _drops(draft):
                keys = ", ".join(f"{_quoted(c.name)} {_type(c)}" for c in draft.columns if c.name in draft.keys)
                self._run(f"CREATE TABLE IF NOT EXISTS {_quoted(dropped)} (sequence INT64, {keys})")
            self._replace(staged, draft, dropped)
            self.discard(staged)
        (publication,) = [
            each for each in self.publications(draft.name) if each.run_id == draft.run_id and each.table == draft.table
        ][-1:]
        return publication

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it is there."""
        with self._explained():
            self._client.delete_table(staged, not_found_ok=True, timeout=_DEADLINE)

    def publications(self, name: str | None = None, *, after: int = 0) -> tuple[Publication, ...]:
        """What was published, of one name or of all, with sequences greater than `after`, in order."""
        if self.columns(self._publications) is None:
            return ()
        named = "" if name is None else "AND name = @name"
        with self._explained():
            rows = self._run(
                f"SELECT {', '.join(map(_quoted, _PUBLICATION))} FROM {_quoted(self._publications)} "
                f"WHERE sequence > @after {named} ORDER BY sequence",
                after=after,
                name=name,
            )
            return tuple(Publication(**dict(row.items())) for row in rows)

    @property
    def _publications(self) -> str:
        return f"{self.dataset}._publications"

    def _make_dataset(self, name: str) -> None:
        dataset = bigquery.Dataset(f"{self._client.project}.{name}")
        dataset.location = self._location
        with self._explained():
            self._client.create_dataset(dataset, exists_ok=True, timeout=_DEADLINE)

    def _let_expire(self, table: str) -> None:
        with self._explained():
            found = self._client.get_table(table, timeout=_DEADLINE)
            found.expires = datetime.now(UTC) + timedelta(days=_STAGED_FOR)
            self._client.update_table(found, ["expires"], timeout=_DEADLINE)

    def _make_room(self, staged: str, draft: Draft) -> None:
        """Make the table what the draft needs. Raises OfflineStoreError where rows of other types would stay."""
        there = self.columns(draft.table)
        columns = ", ".join(f"{_quoted(column.name)} {_type(column)}" for column in draft.columns)
        by_day = f" PARTITION BY TIMESTAMP_TRUNC({_quoted(draft.time)}, DAY)" if draft.time else ""
        clustered = f" CLUSTER BY {', '.join(map(_quoted, draft.keys[:4]))}" if draft.keys else ""
        create = f"TABLE {_quoted(draft.table)} ({columns}){by_day}{clustered}"
        if there is None:
            self._run(f"CREATE {create}")
            return
        (filled,) = self._one(f"SELECT count(*) FROM {_quoted(draft.table)}")
        (ours,) = self._one(
            f"SELECT count(*) FROM {_quoted(self._publications)} WHERE {_quoted('table')} = @name", name=draft.table
        )
        if filled and not ours:
            raise OfflineStoreError(
                f"Table {draft.table} was there before '{draft.name}' and holds rows of somebody else's. "
                "Rename the definition, or move that table away."
            )
        if any(there.get(column.name, IBIS_TYPES[column.type]) != IBIS_TYPES[column.type] for column in draft.columns):
            (remaining,) = self._one(f"SELECT count(*) FROM {_quoted(draft.table)} WHERE NOT ({_within(draft)})")
            if remaining:
                raise OfflineStoreError(
                    f"Table {draft.table} holds rows of other types than '{draft.name}' has now, and they would stay: "
                    "compute all of it at once, from its start, or rename the view."
                )
            # At once with its new rows: readers see the old table or the new. The publication follows.
            self._run(
                f"CREATE OR REPLACE {create} AS SELECT {_values(draft)} FROM {_quoted(staged)} WHERE {_within(draft)}"
            )
            return
        for column in draft.columns:
            if column.name not in there:
                self._run(f"ALTER TABLE {_quoted(draft.table)} ADD COLUMN {_quoted(column.name)} {_type(column)}")

    def _replace(self, staged: str, draft: Draft, dropped: str) -> None:
        table, rows, log = _quoted(draft.table), _quoted(staged), _quoted(self._publications)
        within = _within(draft)
        names = ", ".join(_quoted(column.name) for column in draft.columns)
        keys = ", ".join(map(_quoted, draft.keys))
        next_ = f"(SELECT coalesce(max(sequence), 0) + 1 FROM {log})"
        start, end = (f"TIMESTAMP '{t.isoformat()}'" if t else "NULL" for t in _ends(draft))
        lost = f"""
            INSERT INTO {_quoted(dropped)} (sequence, {keys})
            SELECT {next_}, {keys} FROM (
                SELECT {keys} FROM {table} WHERE {within} EXCEPT DISTINCT SELECT {keys} FROM {rows} WHERE {within}
            );
        """
        script = f"""
            BEGIN TRANSACTION;
            {lost if _drops(draft) else ""}
            DELETE FROM {table} WHERE {within};
            INSERT INTO {table} ({names}) SELECT {_values(draft)} FROM {rows} WHERE {within};
            INSERT INTO {log} ({", ".join(map(_quoted, _PUBLICATION))})
            SELECT {next_}, @name, @table, {start}, {end}, (SELECT count(*) FROM {rows} WHERE {within}),
                @run_id, @definition_hash, @schema_hash, @sql_hash, TIMESTAMP '{draft.published_at.isoformat()}';
            COMMIT TRANSACTION;
        """
        texts = {
            name: getattr(draft, name)
            for name in ("name", "table", "run_id", "definition_hash", "schema_hash", "sql_hash")
        }
        for left in reversed(range(_TRIES)):
            try:
                self._run(script, **texts)
            except GoogleAPIError as error:
                # Two transactions that changed one table: BigQuery cancels the later one.
                if not left or "concurrent" not in str(error).lower():
                    raise
                time.sleep(2.0 ** (_TRIES - left))
            else:
                return

    def _missing(self, query: Table) -> str:
        """The tables of the query that are not there: where a dataset is missing BigQuery names that alone."""
        tables = sorted(
            {f"{t.namespace.database}.{t.name}" for t in query.op().find(UnboundTable) if t.namespace.database}
        )
        return ", ".join(table for table in tables if self.columns(table) is None)

    def _load(self, rows: pa.Table, table: str) -> None:
        self._make_dataset(table.rpartition(".")[0])
        file = io.BytesIO()
        pyarrow.parquet.write_table(rows, file)
        file.seek(0)
        # The file says the types. Lists are the field's own, not records that hold a field of lists.
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format="PARQUET", write_disposition="WRITE_TRUNCATE", parquet_options=options
        )
        with self._explained():
            self._client.load_table_from_file(file, table, job_config=config, timeout=_DEADLINE).result(
                timeout=_DEADLINE
            )

    def _run(self, sql: str, **parameters: Any) -> Any:
        config = bigquery.QueryJobConfig(
            default_dataset=f"{self._client.project}.{self.dataset}",
            query_parameters=[
                bigquery.ScalarQueryParameter(name, "INT64" if isinstance(value, int) else "STRING", value)
                for name, value in parameters.items()
                if value is not None
            ],
        )
        if self._maximum_bytes_billed is not None:
            config.maximum_bytes_billed = self._maximum_bytes_billed
        job = self._client.query(sql, job_config=config, location=self._location, timeout=_DEADLINE)
        rows = job.result(timeout=_DEADLINE)
        scanned(job.total_bytes_processed)
        return rows

    def _one(self, sql: str, **parameters: Any) -> tuple[Any, ...]:
        (row,) = self._run(sql, **parameters)
        values: tuple[Any, ...] = row.values()
        return values

    @contextmanager
    def _explained(self, query: Table | None = None) -> Iterator[None]:
        try:
            yield
        except NotFound as error:
            missing = error.message if query is None else self._missing(query) or error.message
            raise TableNotFound(
                f"A table is not there yet: {missing}. Fill it first: `amora-fs compute`, or its asset."
            ) from error
        except GoogleAPIError as error:
            raise OfflineStoreError(f"BigQuery: {error}") from error


def _renamed(sql: str, tables: Mapping[str, str]) -> str:
    """The query with its frames' bare names replaced by the tables that they were loaded to."""
    if not tables:
        return sql
    tree = sqlglot.parse_one(sql, dialect="bigquery")
    for table in list(tree.find_all(exp.Table)):
        if not table.db and table.name in tables:
            dataset, _, name = tables[table.name].rpartition(".")
            alias = table.alias or table.name
            table.replace(exp.alias_(exp.table_(name, db=dataset, quoted=True), alias, table=True, quoted=True))
    return str(tree.sql(dialect="bigquery"))


def _drops(draft: Draft) -> bool:
    return draft.interval is not None and bool(draft.keys)


def _ends(draft: Draft) -> tuple[Any, Any]:
    return (None, None) if draft.interval is None else (draft.interval.start, draft.interval.end)


def _values(draft: Draft) -> str:
    return ", ".join(f"CAST({_quoted(c.name)} AS {_type(c)}) AS {_quoted(c.name)}" for c in draft.columns)


def _within(draft: Draft) -> str:
    """The condition of rows that the draft replaces: literal bounds, so that partitions are pruned."""
    if draft.interval is None or draft.time is None:
        return "true"
    time_ = _quoted(draft.time)
    start, end = draft.interval.start.isoformat(), draft.interval.end.isoformat()
    return f"{time_} >= TIMESTAMP '{start}' AND {time_} < TIMESTAMP '{end}'"


def _as_declared(type_: dt.DataType) -> dt.DataType:
    """BigQuery's timestamps are of microseconds, its columns and items nullable: as Ibis says that elsewhere."""
    if type_.is_timestamp() and type_.timezone == "UTC":
        return dt.Timestamp("UTC", 6)
    if type_.is_array():
        return dt.Array(_as_declared(type_.value_type))
    return type_.copy(nullable=True)


def _type(column: Column) -> str:
    item = _TYPES[column.type.item]
    return f"ARRAY<{item}>" if column.type.is_list else item


def _quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in name.split("."))
