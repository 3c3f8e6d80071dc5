"""The embedded offline store: `<home>/offline.duckdb`, where a dataset is a schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.arrow import in_microseconds
from amora_fs_assets.domain.errors import OfflineStoreError, TableNotFound
from amora_fs_assets.domain.ownership import of_definitions
from amora_fs_assets.domain.places.external import Held, sql_of
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.ports.offline import Draft, Part, StoredTable
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import PUBLICATION_COLUMNS, Publication
from amora_fs_assets.domain.table_names import STAGED, publications_table, staged_table
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.file import opened
from amora_fs_assets.stores.duckdb.places import FORMATS, attach, catalogs_of, database_file, file_of, held
from amora_fs_assets.stores.duckdb.publication import Publishing, read_applied, write_applied
from amora_fs_assets.stores.duckdb.tables import quoted, stored_table, stored_tables
from amora_fs_assets.stores.duckdb.times import check_times

STAGED_FOR = timedelta(days=7)
"""The age at which a staged table is dropped, since its process counts as dead."""
FEW_MOMENTS = 64
"""The largest frame [rows] for which DuckDB should join in loops, as it does itself if it knows the number of rows."""


class DuckDBOfflineStore:
    """OfflineStore in a DuckDB file. Each operation opens the file and closes it again."""

    dialect = DUCKDB
    hashing = f"duckdb {duckdb.__version__}"  # the hash may differ between versions

    def __init__(self, home: Path, *, dataset: str = "feature_store", lock_timeout: float = 60.0) -> None:
        self._home = home
        self.dataset = dataset
        self._lock_timeout = lock_timeout
        self._held: dict[Place, Held] = {}  # as stored_tables found them last

    def modified(self, table: str) -> str | None:  # noqa: ARG002  (the port's)
        """None: DuckDB does not keep the time of the last change."""
        return None

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's present columns; None for a missing table."""
        stored = self.table(table)
        return None if stored is None else stored.columns

    def table(self, name: str) -> StoredTable | None:
        """The table's present state; None for a missing table."""
        with self._open() as connection:
            return stored_table(connection, name)

    def stored_tables(self, names: Sequence[str | Place]) -> list[StoredTable | None]:
        """As `table`, for several tables and places; opens the file once."""
        tables = [name if isinstance(name, str) else name.table or "" for name in names]
        with self._open() as connection:
            attach(connection, self._home, catalogs_of(name for name in names if isinstance(name, Place)))
            found = stored_tables(connection, tables)
            for number, place in enumerate(names):
                if isinstance(place, Place):
                    found[number] = self._see(connection, place, found[number])
        return found

    def _see(
        self, connection: duckdb.DuckDBPyConnection, place: Place, stored: StoredTable | None
    ) -> StoredTable | None:
        """The place's present columns, remembered for `sql`. `stored` is its table, if it is one."""
        self._held.pop(place, None)
        if place.table is None:
            seen = held(connection, place, self._home)
            stored = None if seen is None else StoredTable(seen.columns, "")
        else:
            seen = None if stored is None else Held(stored.columns)
        if seen is not None:
            self._held[place] = seen
        return stored

    def looked_for(self, place: Place) -> str:
        """The file that the store reads for the place."""
        if place.where.path is not None:
            file = file_of(place, self._home)
            return f" ({file} has no files {', '.join(FORMATS)})" if Path(file).is_dir() else f" ({file})"
        return "".join(f" in {database_file(self._home, catalog)}" for catalog in catalogs_of([place]))

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""
        return sql_of(query, self._held_columns, self.dialect)

    def _held_columns(self, place: Place) -> Held | None:
        if place not in self._held:
            self.stored_tables([place])
        return self._held.get(place)

    def scanned_bytes(self, query: Table) -> int | None:  # noqa: ARG002  (the port's)
        """None: DuckDB has no dry run."""
        return None

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:  # noqa: ARG002
        """None: DuckDB has no partitions."""
        return None

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        """Stream the query's rows. The file stays open until the context is left."""
        schema = query.schema().to_pyarrow()
        sql = self.sql(query)
        with self._open() as connection:
            for name, frame in (frames or {}).items():
                connection.register(name, frame)
            batches = connection.execute(sql).to_arrow_reader(100_000)
            yield pa.RecordBatchReader.from_batches(
                schema, (check_times(batch.select(schema.names).cast(schema)) for batch in batches)
            )

    def read_beside(self, parts: Sequence[Part], frames: Mapping[str, pa.Table]) -> list[pa.Table]:
        """The rows of each SELECT, without a write to the file in between."""
        with self._open() as connection:
            for name, frame in frames.items():
                connection.register(name, frame)
            if all(frame.num_rows <= FEW_MOMENTS for frame in frames.values()):
                connection.execute(f"SET asof_loop_join_threshold = {FEW_MOMENTS}")
            return [self._part(connection, part) for part in parts]

    def _part(self, connection: duckdb.DuckDBPyConnection, part: Part) -> pa.Table:
        found = connection.execute(part.sql).to_arrow_table().select(part.schema.names).cast(part.schema)
        return pa.Table.from_batches(map(check_times, found.to_batches()), part.schema)

    def stage(
        self,
        data: Table | pa.Table | str,
        *,
        name: str,
        run_id: str,
        clustered_by: str = "",  # noqa: ARG002  (the port's; DuckDB scans a single column quickly)
    ) -> str:
        """Write the rows of a query, a SELECT or an Arrow table to a new table; return its name."""
        staged = staged_table(name, run_id, self.dataset)
        rows = data if isinstance(data, str) else "SELECT * FROM staged_rows"
        rows = self.sql(data) if isinstance(data, Table) else rows
        with self._open(write=True) as connection:
            if isinstance(data, pa.Table):
                connection.register("staged_rows", in_microseconds(data))
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.dataset)}")
            self._sweep(connection)
            connection.execute(f"CREATE OR REPLACE TABLE {quoted(staged)} AS {rows}")
            connection.execute(f"COMMENT ON TABLE {quoted(staged)} IS '{datetime.now(UTC).isoformat()}'")
        return staged

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the rows of the draft's interval by the staged rows of the interval, in one transaction."""
        with self._open(write=True) as connection, _transaction(connection):
            publication = Publishing(connection, staged, draft, self.dataset).publish()
            connection.execute(f"DROP TABLE {quoted(staged)}")
        return publication

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it exists."""
        with self._open(write=True) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {quoted(staged)}")

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """Publications with sequences greater than `after`, in order: of one name, or of all; see OfflineStore."""
        with self._open() as connection:
            stored = stored_table(connection, self._publications)
            if stored is None:
                return ()
            fields = [each for each in PUBLICATION_COLUMNS if each in stored.columns]  # an earlier release made fewer
            rows = connection.execute(
                f"SELECT {', '.join(map(quoted, fields))} FROM {quoted(self._publications)} "
                "WHERE sequence > $after AND ($name IS NULL OR name = $name) "
                'QUALIFY NOT $newest OR row_number() OVER (PARTITION BY "table" ORDER BY sequence DESC) = 1 '
                "ORDER BY sequence",
                {"after": after, "name": name, "newest": newest},
            ).fetchall()
        return of_definitions(name, (Publication(**dict(zip(fields, row, strict=True))) for row in rows))

    def applied(self) -> tuple[Applied, ...]:
        """The rows of `_applied`."""
        with self._open() as connection:
            return read_applied(connection, self.dataset)

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Replace the rows of `_applied` of these views."""
        with self._open(write=True) as connection, _transaction(connection):
            write_applied(connection, self.dataset, rows)

    @property
    def _publications(self) -> str:
        return publications_table(self.dataset)

    def _sweep(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Drop staged tables of processes that were killed days ago."""
        staged = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND starts_with(table_name, ?) "
            "AND TRY_CAST(comment AS TIMESTAMPTZ) < ?",
            [self.dataset, STAGED, datetime.now(UTC) - STAGED_FOR],
        )
        for (name,) in staged.fetchall():
            connection.execute(f"DROP TABLE {quoted(f'{self.dataset}.{name}')}")

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        with opened(self._home, write=write, timeout=self._lock_timeout) as connection:
            try:
                attach(connection, self._home, catalogs_of(list(self._held)))
                yield connection
            except duckdb.CatalogException as error:
                if "does not exist" not in str(error):
                    raise OfflineStoreError(f"DuckDB: {error}") from error
                raise TableNotFound(
                    f"A table does not exist yet: {error}. Fill it first: `amora-fs compute`, or materialize its asset."
                ) from error
            except duckdb.Error as error:
                raise OfflineStoreError(f"DuckDB: {error}") from error


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
