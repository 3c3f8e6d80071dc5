"""An offline store over tables in memory, which runs BigQuery's SQL through the witness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta

import ibis
import ibis.expr.datatypes as dt
import pyarrow as pa
from ibis.expr.types import Table

from amora_fs_assets.domain.errors import TableNotFound
from amora_fs_assets.domain.places.external import as_declared
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.ports.offline import Draft, StoredTable
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import staged_table
from amora_fs_assets.domain.time import Interval
from amora_fs_assets.stores.bigquery.dialect import BIGQUERY
from amora_fs_assets.testing.witness import Witness


class ReferenceStore:
    """OfflineStore for reading and staging. It cannot publish."""

    dialect = BIGQUERY

    def __init__(
        self,
        witness: Witness,
        tables: Mapping[str, pa.Table] | None = None,
        *,
        dataset: str = "feature_store",
        hashing: str = "",
    ) -> None:
        self.dataset = dataset
        self.hashing = hashing
        self._witness = witness
        self._tables = dict(tables or {})

    def modified(self, table: str) -> str | None:  # noqa: ARG002  (the port's)
        """None: the store does not know."""
        return None

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's columns; None for a missing table."""
        rows = self.table(table)
        return None if rows is None else rows.columns

    def table(self, name: str) -> StoredTable | None:
        """The table; None for a missing table."""
        rows = self._tables.get(name)
        return None if rows is None else StoredTable(dict(ibis.Schema.from_pyarrow(rows.schema).items()), "")

    def stored_tables(self, names: Sequence[str | Place]) -> list[StoredTable | None]:
        """As `table`, for several tables. Places have their declared types."""
        return [self.table(name if isinstance(name, str) else name.reference) for name in names]

    def looked_for(self, place: Place) -> str:  # noqa: ARG002
        """Empty: the tables are in memory."""
        return ""

    def sql(self, query: Table) -> str:
        """BigQuery's SQL for the query."""
        return str(ibis.to_sql(as_declared(query), dialect="bigquery"))

    def scanned_bytes(self, query: Table) -> int | None:  # noqa: ARG002
        """None: the store does not know."""
        return None

    def changed_late(
        self, table: str, time: str, lateness: timedelta  # noqa: ARG002
    ) -> tuple[Interval, ...] | None:  # fmt: skip
        """None: the store does not know."""
        return None

    @contextmanager
    def read(self, query: Table, frames: Mapping[str, pa.Table] | None = None) -> Iterator[pa.RecordBatchReader]:
        """The query's rows. Raises RefusedByGoogleSQL."""
        schema = query.schema().to_pyarrow()
        rows = self.query(self.sql(query), frames)
        yield pa.RecordBatchReader.from_batches(schema, rows.select(schema.names).cast(schema).to_batches())

    def query(self, sql: str, frames: Mapping[str, pa.Table] | None = None) -> pa.Table:
        """The rows of a SELECT over these tables. Raises RefusedByGoogleSQL."""
        all_tables = self._tables | dict(frames or {})
        named = {name: table for name, table in all_tables.items() if name.rpartition(".")[2] in sql}
        return self._witness.execute(sql, named)

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:  # noqa: ARG002
        """Keep the rows of a query, a SELECT or an Arrow table; return the table's name."""
        staged = staged_table(name, run_id, self.dataset)
        if isinstance(data, Table):
            data = self.sql(data)
        self._tables[staged] = self.query(data) if isinstance(data, str) else data
        return staged

    def put(self, table: str, rows: pa.Table) -> None:
        """Replace the table's rows."""
        self._tables[table] = rows

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it exists."""
        self._tables.pop(staged, None)

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Raise TableNotFound: the store cannot publish."""
        raise TableNotFound(f"{staged} cannot be published to {draft.table}: this store is read-only.")

    def applied(self) -> tuple[Applied, ...]:
        """No rows."""
        return ()

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Write nothing."""

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:  # noqa: ARG002
        """No publications."""
        return ()
