"""The offline store: tables of feature values, staged and published. One contract suite for all stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from uuid import uuid4

from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, EVENT_TIMESTAMP, dropped_sequence
from amora_fs_assets.domain.places.place import Place
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.domain.table_names import pushed_table, table_name
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
    """A planned publication: the staged rows and the rows that they replace."""

    name: str  # of the feature view, source or training set
    table: str
    columns: tuple[Column, ...]  # of the table, in order
    keys: tuple[str, ...] = ()  # the table's join keys
    time: str | None = None  # the table's time column, by which the table is partitioned
    table_partitions: Period = Period.DAY  # hour, day or month, for engines that lay tables out in partitions
    interval: Interval | None = None  # None: the staged rows replace the whole table
    appended: bool = False  # the staged rows replace only rows with the same key and times
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
    # See docs/protocol.md.
    publication_id: str = field(default_factory=lambda: uuid4().hex)
    applied: Applied | None = None  # the expected row of `_applied` of a feature view; None: no comparison
    seen: int | None = None  # the newest publication when a computation began to read; None: no comparison
    incarnation: str | None = None  # set by the store

    @classmethod
    def of(cls, definition: FeatureView | Source | TrainingSet, **fields: Any) -> Draft:
        """The draft of a definition's publication: name, description, owner and tags, and the given fields."""
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

    @classmethod
    def of_pushed(cls, view: FeatureView, dataset: str, **fields: Any) -> Draft:
        """The draft of a push: into the view's own table or, for an external view, into `_pushed_<view>`."""
        draft = cls.of_view(view, dataset, appended=True, **fields)
        return draft if view.table is None else replace(draft, table=pushed_table(view.name, dataset))

    @property
    def of_external(self) -> bool:
        """Whether the draft's rows are pushed to an external view: `_pushed_<view>` then holds the rows themselves."""
        dataset, _, name = self.table.rpartition(".")
        return self.appended and pushed_table(self.name, dataset) == f"{dataset}.{name}"

    @property
    def view_id(self) -> str | None:
        """The `view_id` of a feature view; None for other definitions."""
        return self.applied.view_id if self.applied else None

    @property
    def of_a_view(self) -> bool:
        """Whether the draft is of a computed feature view, whose pushed rows are noted in `_pushed_<view>`."""
        return (self.appended or self.seen is not None) and not self.of_external

    @property
    def taken(self) -> Interval | None:
        """The interval of the staged rows that are published; None: all rows. Other rows are clipped."""
        if self.interval is not None or self.computed_from is None or self.computed_until is None:
            return self.interval
        return Interval(self.computed_from, self.computed_until)

    def value(self, column: str) -> Any:
        """The value of a column of `_publications`, except `sequence` and `rows`."""
        if column in ("start", "end"):
            return getattr(self.interval, column) if self.interval else None
        return getattr(self, column)

    @property
    def dropped_columns(self) -> tuple[Column, ...]:
        """The columns of `_dropped_<name>`: the sequence of the publication that dropped a key, and the key."""
        return (Column(dropped_sequence(self.keys), DataType.INT64), *self._key_columns)

    @property
    def pushed_columns(self) -> tuple[Column, ...]:
        """The columns of `_pushed_<name>`: the sequence of the publication that pushed a row, its keys and times."""
        names = {self.time, CREATED_TIMESTAMP}
        times = tuple(column for column in self.columns if column.name in names)
        return (Column(dropped_sequence(self.keys), DataType.INT64), *self._key_columns, *times)

    @property
    def _key_columns(self) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.name in self.keys)


@dataclass(frozen=True)
class StoredTable:
    """A table's columns and incarnation."""

    columns: Mapping[str, dt.DataType]
    incarnation: str  # empty for a table without an incarnation


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
    """Tables of feature values, written `dataset.table`. Each method is one operation and closes its connection.

    Queries are Ibis expressions over unbound tables (`ibis.table(schema, name=..., catalog=..., database=...)`).
    Every method raises OfflineStoreBusy if the store stays locked, and OfflineStoreError if the engine refuses.
    """

    @property
    def dialect(self) -> Dialect:
        """The engine's SQL dialect and capabilities."""

    @property
    def dataset(self) -> str:
        """The dataset of feature views' tables, staged tables and `_publications`."""

    @property
    def hashing(self) -> str:
        """The name of the hash of inputs. Hashes of different names are not comparable. Empty: rows are counted."""

    def modified(self, table: str) -> str | None:
        """A cheap token that changes with the table's rows; None for an engine without such a token."""

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's present columns; None for a missing table."""

    def table(self, name: str) -> StoredTable | None:
        """The table's present state; None for a missing table."""

    def stored_tables(self, names: Sequence[str | Place]) -> list[StoredTable | None]:
        """As `table`, for several tables, and for the places of sources and external views.

        `sql` gives the columns of a place their declared types from the types that were found here last.
        """

    def looked_for(self, place: Place) -> str:
        """Where the store looks for the place, as text for a message; empty if the place's own text says it."""

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""

    def scanned_bytes(self, query: Table) -> int | None:
        """The bytes that the query would scan, without running it; None if the engine gives no estimate."""

    def changed_late(self, table: str, time: str, lateness: timedelta) -> tuple[Interval, ...] | None:
        """The table's partitions by the column `time` that changed later than `lateness` after their end.

        None if unknown: the table has no such partitions, or the engine does not keep their times of change.
        """

    def read(
        self, query: Table, frames: Mapping[str, pa.Table] | None = None
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """Stream the query's rows. The store stays open until the context is left.

        `frames` are temporary local tables that the query refers to by name, without a dataset.
        """

    def stage(self, data: Table | pa.Table | str, *, name: str, run_id: str, clustered_by: str = "") -> str:
        """Write the rows of a query, a SELECT of the engine or an Arrow table to a new table; return its name.

        Staging again for the same name and run replaces the staged rows. With `clustered_by`, reading the rows of one
        value of this column scans few other rows.
        """

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the rows of the draft's interval by the staged rows of the interval, in one transaction.

        The same transaction adds the row to `_publications` and, for a draft with an interval, adds the keys that lost
        all their rows of the interval to `_dropped_<name>` (`draft.dropped_columns`). Creates a missing table, adds
        missing columns, and recreates the table if no old row would remain. Discards the staged table. Readers see
        either the old or the new state. Raises OfflineStoreError if an existing column has another type, or if another
        writer published the table last (see domain/ownership.py).
        """

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it exists."""

    def applied(self) -> tuple[Applied, ...]:
        """The rows of `_applied`."""

    def write_applied(self, rows: Sequence[Applied]) -> None:
        """Replace the rows of `_applied` of these views."""

    def publications(self, name: str | None = None, *, after: int = 0, newest: bool = False) -> tuple[Publication, ...]:
        """Publications with sequences greater than `after`, in order: of the definition `name`, or of all tables.

        Publications of `to_table` are returned only without a `name`, since a table may have a definition's name.

        With `newest` only the last publication of each table, since years of daily runs make many.
        """
