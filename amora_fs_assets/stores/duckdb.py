"""The embedded offline store: `<home>/offline.duckdb`, where a dataset is a schema."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OfflineStoreError, TableNotFound
from amora_fs_assets.domain.names import CREATED_TIMESTAMP
from amora_fs_assets.domain.ownership import check_owner, of_definitions
from amora_fs_assets.domain.ports import Draft, Engine
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, Publication
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.domain.types import DataType
from amora_fs_assets.stores.duckdb_file import opened

_TYPES = {
    DataType.INT64: "BIGINT",
    DataType.FLOAT64: "DOUBLE",
    DataType.STRING: "VARCHAR",
    DataType.BOOLEAN: "BOOLEAN",
    DataType.BYTES: "BLOB",
    DataType.DATE: "DATE",
    DataType.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
    DataType.DECIMAL: "DECIMAL(38,9)",
}
STAGED_FOR = timedelta(days=7)
"""How long a staged table waits to be published; then its process counts as dead."""


class _Last(NamedTuple):
    """What is asked of a table's last publication."""

    name: str
    table: str
    run_id: str
    definition_hash: str
    schema_hash: str


class DuckDBOfflineStore:
    """OfflineStore in a DuckDB file. Each operation opens the file and closes it again."""

    engine: Engine = "duckdb"
    hashing = f"duckdb {duckdb.__version__}"  # another version may hash otherwise

    def __init__(self, home: Path, *, dataset: str = "feature_store", lock_timeout: float = 60.0) -> None:
        self._home = home
        self.dataset = dataset
        self._lock_timeout = lock_timeout

    def modified(self, table: str) -> str | None:  # noqa: ARG002  (the port's)
        """DuckDB does not say: None."""
        return None

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's columns as it stands; None where there is no such table."""
        with self._open() as connection:
            return _columns(connection, table)

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""
        return str(ibis.to_sql(query, dialect="duckdb"))

    def scanned_bytes(self, query: Table) -> int | None:  # noqa: ARG002  (the port's)
        """DuckDB does not say: None."""
        return None

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:  # noqa: ARG002
        """None: DuckDB has no partitions."""
        return None

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        """The query's rows, streamed; the file is held until the context is left."""
        schema = query.schema().to_pyarrow()
        with self._open() as connection:
            for name, frame in (frames or {}).items():
                connection.register(name, frame)
            batches = connection.execute(self.sql(query)).to_arrow_reader(100_000)
            yield pa.RecordBatchReader.from_batches(
                schema, (batch.select(schema.names).cast(schema) for batch in batches)
            )

    def stage(
        self,
        data: Table | pa.Table | str,
        *,
        name: str,
        run_id: str,
        clustered_by: str = "",  # noqa: ARG002  (the port's; a column by itself is cheap to go through)
    ) -> str:
        """Write the rows of a query, a SELECT or an Arrow table to a new table; its `dataset.table`."""
        staged = f"{self.dataset}._staged_{name}_{hashlib.sha256(run_id.encode()).hexdigest()[:12]}"
        with self._open(write=True) as connection:
            if isinstance(data, pa.Table):
                connection.register("staged_rows", data)
                data = "SELECT * FROM staged_rows"
            rows = data if isinstance(data, str) else self.sql(data)
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(self.dataset)}")
            self._sweep(connection)
            connection.execute(f"CREATE OR REPLACE TABLE {_quoted(staged)} AS {rows}")
            connection.execute(f"COMMENT ON TABLE {_quoted(staged)} IS '{datetime.now(UTC).isoformat()}'")
        return staged

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the draft's interval of its table by the staged rows in it, in one transaction."""
        with self._open(write=True) as connection, _transaction(connection):
            publication = self._published(connection, staged, draft)
            connection.execute(f"DROP TABLE {_quoted(staged)}")
        return publication

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it is there."""
        with self._open(write=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_quoted(staged)}")

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """What was published, of one name or of all, with sequences greater than `after`, in order.

        With `newest` the last one of each table alone: years of daily runs are many.
        """
        with self._open() as connection:
            there = _columns(connection, self._publications)
            if there is None:
                return ()
            fields = [each for each in PUBLICATION_COLUMNS if each in there]  # an earlier release made fewer
            rows = connection.execute(
                f"SELECT {', '.join(map(_quoted, fields))} FROM {_quoted(self._publications)} "
                "WHERE sequence > $after AND ($name IS NULL OR name = $name) "
                'QUALIFY NOT $newest OR row_number() OVER (PARTITION BY "table" ORDER BY sequence DESC) = 1 '
                "ORDER BY sequence",
                {"after": after, "name": name, "newest": newest},
            ).fetchall()
        return of_definitions(name, (Publication(**dict(zip(fields, row, strict=True))) for row in rows))

    @property
    def _publications(self) -> str:
        return f"{self.dataset}._publications"

    def _sweep(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop what processes staged that were killed days ago."""
        staged = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND starts_with(table_name, '_staged_') "
            "AND TRY_CAST(comment AS TIMESTAMPTZ) < ?",
            [self.dataset, datetime.now(UTC) - STAGED_FOR],
        )
        for (name,) in staged.fetchall():
            connection.execute(f"DROP TABLE {_quoted(f'{self.dataset}.{name}')}")

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        with opened(self._home, write=write, timeout=self._lock_timeout) as connection:
            try:
                yield connection
            except duckdb.CatalogException as error:
                if "does not exist" not in str(error):
                    raise OfflineStoreError(f"DuckDB: {error}") from error
                raise TableNotFound(
                    f"A table is not there yet: {error}. Fill it first: `amora-fs compute`, or materialize its asset."
                ) from error
            except duckdb.Error as error:
                raise OfflineStoreError(f"DuckDB: {error}") from error

    def _published(self, connection: duckdb.DuckDBPyConnection, staged: str, draft: Draft) -> Publication:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_quoted(draft.table.rpartition('.')[0])}")
        self._make_publications(connection)
        (sequence,) = _row(connection, f"SELECT coalesce(max(sequence), 0) + 1 FROM {_quoted(self._publications)}")
        within, bounds = _within(draft, draft.interval)
        taken, taken_bounds = _within(draft, draft.taken)
        if draft.appended:
            within += f" AND {_same_key(draft, staged)}"
        kept = self._make_room(connection, draft, within, bounds)
        table, rows = _quoted(draft.table), _quoted(staged)
        if draft.interval is not None and draft.keys:
            keys = ", ".join(map(_column, draft.keys))
            dropped = f"{self.dataset}._dropped_{draft.name}"
            columns = draft.dropped_columns
            if not kept or not _holds(connection, dropped, columns):
                connection.execute(f"DROP TABLE IF EXISTS {_quoted(dropped)}")
                types = ", ".join(f"{_column(c.name)} {_type(c)}" for c in columns)
                connection.execute(f"CREATE TABLE {_quoted(dropped)} ({types})")
            connection.execute(
                f"INSERT INTO {_quoted(dropped)} BY NAME SELECT {sequence} AS {_column(columns[0].name)}, * FROM ("
                f"SELECT {keys} FROM {table} WHERE {within} EXCEPT SELECT {keys} FROM {rows} WHERE {within})",
                bounds,
            )
        connection.execute(f"DELETE FROM {table} WHERE {within}", bounds)
        values = ", ".join(f"CAST({_column(c.name)} AS {_type(c)}) AS {_column(c.name)}" for c in draft.columns)
        insert = f"INSERT INTO {table} BY NAME SELECT {values} FROM {rows} WHERE {taken}"
        (count,) = _row(connection, insert, taken_bounds)
        said = {name: draft.value(name) for name in PUBLICATION_COLUMNS if name not in ("sequence", "rows")}
        publication = Publication(sequence=sequence, rows=count, **said)
        names = ", ".join(map(_quoted, PUBLICATION_COLUMNS))
        fields = [getattr(publication, column) for column in PUBLICATION_COLUMNS]
        connection.execute(
            f"INSERT INTO {_quoted(self._publications)} ({names}) VALUES ({', '.join('?' * len(fields))})", fields
        )
        return publication

    def _make_publications(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make `_publications`, or add the columns that an earlier release did not know."""
        log = _quoted(self._publications)
        columns = {name: f"{_quoted(name)} {_TYPES[type_]}" for name, type_ in PUBLICATION_COLUMNS.items()}
        there = _columns(connection, self._publications)
        if there is None:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {log} ({', '.join(columns.values())})")
            return
        for name, column in columns.items():
            if name not in there:
                connection.execute(f"ALTER TABLE {log} ADD COLUMN IF NOT EXISTS {column}")

    def _make_room(
        self, connection: duckdb.DuckDBPyConnection, draft: Draft, within: str, bounds: Mapping[str, Any]
    ) -> bool:
        """Make the table what the draft needs; whether rows or columns of before were kept."""
        table = _quoted(draft.table)
        columns = ", ".join(f"{_column(column.name)} {_type(column)}" for column in draft.columns)
        there = _columns(connection, draft.table)
        if there is None:
            connection.execute(f"CREATE TABLE {table} ({columns})")
            return False
        (filled,) = _row(connection, f"SELECT EXISTS (FROM {table})")
        last = self._last(connection, draft.table)
        check_owner(draft, last, filled=filled)
        (remaining,) = _row(connection, f"SELECT EXISTS (FROM {table} WHERE ({within}) IS NOT TRUE)", bounds)
        same = _same_types(connection, draft.table, draft.columns)
        if not remaining and not (same and set(there) == {column.name for column in draft.columns}):
            if draft.keys and set(draft.keys) <= set(there) and same:
                # The rows that are replaced say which keys are dropped, so they stay until then.
                _add_columns(connection, draft, there)
                return True
            connection.execute(f"CREATE OR REPLACE TABLE {table} ({columns})")
            return False
        if not same:
            raise OfflineStoreError(
                f"Table {draft.table} holds rows of other types than '{draft.name}' has now, and they would stay: "
                f"compute all of it at once, from its start, or rename the view."
            )
        missing = [column.name for column in draft.columns if column.name not in there]
        if missing and draft.schema_hash and last is not None and draft.schema_hash == last.schema_hash:
            raise OfflineStoreError(
                f"Table {draft.table} lost its column '{missing[0]}' since it was last published, and other rows "
                "would stay: compute all of it at once, from its start, or rename the view."
            )
        _add_columns(connection, draft, there)
        return True

    def _last(self, connection: duckdb.DuckDBPyConnection, table: str) -> _Last | None:
        """The table's last publication. DuckDB does not tell the cases of letters apart."""
        found = connection.execute(
            f'SELECT name, "table", run_id, definition_hash, schema_hash FROM {_quoted(self._publications)} '
            'WHERE lower("table") = lower($table) ORDER BY sequence DESC LIMIT 1',
            {"table": table},
        ).fetchone()
        return None if found is None else _Last(*found)


def _add_columns(connection: duckdb.DuckDBPyConnection, draft: Draft, there: Mapping[str, Any]) -> None:
    for column in draft.columns:
        if column.name not in there:
            connection.execute(f"ALTER TABLE {_quoted(draft.table)} ADD COLUMN {_column(column.name)} {_type(column)}")


def _same_types(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> bool:
    types = {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE {_quoted(table)}").fetchall()}
    return all(types.get(column.name, _type(column)) == _type(column) for column in columns)


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _within(draft: Draft, interval: Interval | None) -> tuple[str, dict[str, Any]]:
    """The condition of rows in the interval, of all rows where there is none; and its parameters."""
    if interval is None or draft.time is None:
        return "true", {}
    time = _quoted(draft.time)
    return f"{time} >= $start AND {time} < $end", {"start": interval.start, "end": interval.end}


def _same_key(draft: Draft, staged: str) -> str:
    """The condition of rows of which the staged ones hold the key and times."""
    parts = [_quoted(key) for key in draft.keys]
    time = _quoted(draft.time or "")
    created = any(column.name == CREATED_TIMESTAMP for column in draft.columns)
    parts += [time, *([f"coalesce({_quoted(CREATED_TIMESTAMP)}, {time})"] if created else [])]
    return f"({', '.join(parts)}) IN (SELECT {', '.join(parts)} FROM {_quoted(staged)})"


def _row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> tuple[Any, ...]:
    row = connection.execute(sql, parameters or None).fetchone()
    assert row is not None, "an aggregate has one row"
    return row


def _columns(connection: duckdb.DuckDBPyConnection, table: str) -> Mapping[str, dt.DataType] | None:
    schema, _, name = table.rpartition(".")
    found = connection.execute(
        "SELECT 1 FROM information_schema.tables WHERE lower(table_schema) = lower(?) AND lower(table_name) = lower(?)",
        [schema, name],
    ).fetchone()
    if found is None:
        return None
    empty = connection.execute(f"SELECT * FROM {_quoted(table)} LIMIT 0").to_arrow_table()
    return {field.name: _ibis_type(field.type) for field in empty.schema}


def _ibis_type(type_: pa.DataType) -> dt.DataType:
    """Ibis' word for the type of a column; unknown for one that Ibis has none for, such as an interval."""
    try:
        return ibis.Schema.from_pyarrow(pa.schema([("column", type_)]))["column"]
    except (ValueError, KeyError, NotImplementedError):
        return dt.Unknown(raw_type=str(type_))


def _type(column: Column) -> str:
    return _TYPES[column.type.item] + ("[]" if column.type.is_list else "")


def _holds(connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column]) -> bool:
    """Whether the table has these columns, of these types, and no others."""
    there = _columns(connection, table)
    return (
        there is not None
        and set(there) == {column.name for column in columns}
        and _same_types(connection, table, columns)
    )


def _column(name: str) -> str:
    """A column's name, quoted, whatever characters a caller gave it."""
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _quoted(name: str) -> str:
    """A table's name of one or more parts, quoted: `feature_store.flights` is `"feature_store"."flights"`."""
    return ".".join(f'"{part}"' for part in name.split("."))
