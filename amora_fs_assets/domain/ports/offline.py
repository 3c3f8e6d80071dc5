"""The offline store: tables of feature values, staged and published. One contract suite for all stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from uuid import uuid4

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, dropped_sequence
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import table_name
from amora_fs_assets.domain.time import Interval, Period
from amora_fs_assets.domain.types import DataType

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import pyarrow as pa
    from ibis.expr.types import Table

    from amora_fs_assets.domain.feature_view import FeatureView
    from amora_fs_assets.domain.ports.dialect import Dialect
    from amora_fs_assets.domain.source import Source
    from amora_fs_assets.domain.training_set import TrainingSet


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A publication that is about to be: which rows replace which."""

    name: str  # of the feature view, source or training set
    table: str
    columns: tuple[Column, ...]  # of the table, in order
    keys: tuple[str, ...] = ()  # its join keys
    time: str | None = None  # its time column, by which it is partitioned
    table_partitions: Period = Period.DAY  # hour, day or month, for engines that lay tables out in partitions
    interval: Interval | None = None  # None: the staged rows replace the whole table
    appended: bool = False  # the staged rows replace only rows of their own key and times
    description: str = ""
    owner: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    run_id: str
    definition_hash: str = ""
    schema_hash: str = ""
    sql_hash: str = ""
    published_at: datetime
    # As in Publication; None where no transform computed the rows.
    identity: str | None = None
    inputs: str | None = None
    computed_from: datetime | None = None
    computed_until: datetime | None = None
    # As docs/protocol.md says.
    publication_id: str = field(default_factory=lambda: uuid4().hex)
    applied: Applied | None = None  # what `_applied` has to say of a feature view; None: nothing is compared
    seen: int | None = None  # the newest publication when a computation began to read; None: nothing is compared
    incarnation: str | None = None  # the store sets it

    @classmethod
    def of(cls, definition: FeatureView | Source | TrainingSet, **fields: Any) -> Draft:
        """The draft of a publication of a definition: its name and its words, and the other fields as given."""
        return cls(
            name=definition.name,
            description=definition.description,
            owner=definition.owner,
            tags=getattr(definition, "tags", {}),
            **fields,
        )

    @classmethod
    def of_view(cls, view: FeatureView, dataset: str, **fields: Any) -> Draft:
        """The draft of a publication of a computed feature view, in the view's own table."""
        return cls.of(
            view,
            table=table_name(view, dataset),
            columns=view.row_columns,
            keys=view.join_keys,
            time=EVENT_TIMESTAMP,
            table_partitions=view.table_partitions,
            schema_hash=view.schema_hash,
            **fields,
        )

    @property
    def view_id(self) -> str | None:
        """Of a feature view: which life of its name in the registry this is."""
        return self.applied.view_id if self.applied else None

    @property
    def of_a_view(self) -> bool:
        """Whether it is a feature view's, to which rows may be pushed."""
        return self.appended or self.seen is not None

    @property
    def taken(self) -> Interval | None:
        """Which staged rows are published: those that were computed and checked; None: all. The others are clipped."""
        if self.interval is not None or self.computed_from is None or self.computed_until is None:
            return self.interval
        return Interval(self.computed_from, self.computed_until)

    def value(self, column: str) -> Any:
        """What the publication says in a column of `_publications`, but for its sequence and its rows."""
        if column in ("start", "end"):
            return getattr(self.interval, column) if self.interval else None
        return getattr(self, column)

    @property
    def dropped_columns(self) -> tuple[Column, ...]:
        """The columns of `_dropped_<name>`: which publication dropped a key, and the key."""
        return (Column(dropped_sequence(self.keys), DataType.INT64), *self._key_columns)

    @property
    def pushed_columns(self) -> tuple[Column, ...]:
        """The columns of `_pushed_<name>`: which publication pushed a row, and the row's keys and times."""
        names = {self.time, CREATED_TIMESTAMP}
        times = tuple(column for column in self.columns if column.name in names)
        return (Column(dropped_sequence(self.keys), DataType.INT64), *self._key_columns, *times)

    @property
    def _key_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.name in self.keys)


@dataclass(frozen=True)
class StoredTable:
    """What a store says of a table."""

    columns: Mapping[str, dt.DataType]
    incarnation: str  # empty where the table has none


@dataclass(frozen=True)
class Part:
    """A SELECT and the columns that it returns."""

    sql: str
    schema: pa.Schema


@runtime_checkable
class ReadsBeside(Protocol):
    """An offline store that plans many small queries faster than one large one."""

    def read_beside(self, parts: Sequence[Part], frames: Mapping[str, pa.Table]) -> list[pa.Table]:
        """The rows of each SELECT. All SELECTs read one state of the store."""


class OfflineStore(Protocol):
    """Tables of feature values, written `dataset.table`. Each method is one operation: no connection outlives it.

    Queries are Ibis expressions over unbound tables (`ibis.table(schema, name=..., catalog=..., database=...)`).
    Every method raises OfflineStoreBusy where the store stays locked, OfflineStoreError for what the engine refuses.
    """

    @property
    def dialect(self) -> Dialect:
        """The engine's SQL dialect and capabilities."""

    @property
    def dataset(self) -> str:
        """Where feature views' tables, staged tables and `_publications` are."""

    @property
    def hashing(self) -> str:
        """How the content of inputs is hashed: hashes of another name are not comparable; empty: inputs are counted."""

    def modified(self, table: str) -> str | None:
        """A word that changes with the table's rows, for little; None where the engine has none."""

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's columns as it stands; None where there is no such table."""

    def table(self, name: str) -> StoredTable | None:
        """The table as it stands; None where there is no such table."""

    def stored_tables(self, names: Sequence[str]) -> list[StoredTable | None]:
        """The same of each of these tables."""

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""

    def scanned_bytes(self, query: Table) -> int | None:
        """What running the query would scan, in bytes, without running it; None where the engine does not say."""

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:
        """The table's partitions by the column `time` that were changed later than `lateness` after their end.

        None where the engine does not know: the table has no such partitions, or nothing says when they were changed.
        """

    def read(
        self, query: Table, frames: Mapping[str, pa.Table] | None = None
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The query's rows, streamed; the store is held until the context is left.

        `frames` are local tables that the query refers to by name (no dataset), gone afterwards.
        """

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:
        """Write the rows of a query, a SELECT of the engine or an Arrow table to a new table; its `dataset.table`.

        Staging again for the same name and run replaces what was staged. Reading the rows of one value of the
        column `clustered_by` reads little else.
        """

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the draft's interval of its table by the staged rows in it, in one transaction.

        The same transaction adds the row to `_publications`, and the keys that lost all their rows of the interval to
        `_dropped_<name>` (`draft.dropped_columns`) where the draft has an interval. Creates the table where it is
        missing, adds columns that it lacks, and makes it anew where no other row would remain. Discards the staged
        table. Readers see the old state or the new. Raises OfflineStoreError where a column that stays has another
        type, and where another writer published the table last (see domain/ownership.py).
        """

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it is there."""

    def applied(self) -> tuple[Applied, ...]:
        """The rows of `_applied`."""

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Replace the rows of `_applied` of these views."""

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """What was published, of a definition's name or of all, with sequences greater than `after`, in order.

        What `to_table` wrote is among all, and under no name: its tables may be called as a definition is.

        With `newest` the last one of each table alone: years of daily runs are many.
        """
