"""What the verbs need of the stores: small protocols, each with one contract suite for all its implementations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.records import Publication, RunRecord, Snapshot
from amora_fs_assets.domain.time import Interval

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt
    import pyarrow as pa
    from ibis.expr.types import Table

Engine = Literal["duckdb", "bigquery"]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """A publication that is about to be: which rows replace which."""

    name: str  # of the feature view, source or training set
    table: str
    columns: tuple[Column, ...]  # of the table, in order
    keys: tuple[str, ...] = ()  # its join keys
    time: str | None = None  # its time column, by which it is partitioned
    interval: Interval | None = None  # None: the staged rows replace the whole table
    description: str = ""
    run_id: str
    definition_hash: str = ""
    schema_hash: str = ""
    sql_hash: str = ""
    published_at: datetime


class OfflineStore(Protocol):
    """Tables of feature values, written `dataset.table`. Each method is one operation: no connection outlives it.

    Queries are Ibis expressions over unbound tables (`ibis.table(schema, name=..., catalog=..., database=...)`).
    Every method raises OfflineStoreBusy where the store stays locked, OfflineStoreError for what the engine refuses.
    """

    @property
    def engine(self) -> Engine:
        """The dialect that it speaks."""

    @property
    def dataset(self) -> str:
        """Where feature views' tables, staged tables and `_publications` are."""

    def columns(self, table: str) -> Mapping[str, dt.DataType] | None:
        """The table's columns as it stands; None where there is no such table."""

    def sql(self, query: Table) -> str:
        """The SQL that `read` and `stage` run for the query."""

    def scanned_bytes(self, query: Table) -> int | None:
        """What running the query would scan, in bytes, without running it; None where the engine does not say."""

    def read(
        self, query: Table, frames: Mapping[str, pa.Table] | None = None
    ) -> AbstractContextManager[pa.RecordBatchReader]:
        """The query's rows, streamed; the store is held until the context is left.

        `frames` are local tables that the query refers to by name (no dataset), gone afterwards.
        """

    def stage(self, data: Table | pa.Table, *, name: str, run_id: str) -> str:
        """Write a query's rows or an Arrow table to a new table of its own, and return its `dataset.table`.

        Staging again for the same name and run replaces what was staged.
        """

    def publish(self, staged: str, draft: Draft) -> Publication:
        """Replace the draft's interval of its table by the staged rows in it, in one transaction.

        The same transaction adds the row to `_publications`, and the keys that lost all their rows of the interval to
        `_dropped_<name>` (sequence, keys) where the draft has an interval. Creates the table where it is missing,
        adds columns that it lacks, and makes it anew where no other row would remain. Discards the staged table.
        Readers see the old state or the new. Raises OfflineStoreError where a column that stays has another type.
        """

    def discard(self, staged: str) -> None:
        """Drop a staged table, if it is there."""

    def publications(self, name: str | None = None, *, after: int = 0) -> tuple[Publication, ...]:
        """What was published, of one name or of all, with sequences greater than `after`, in order."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One complete state of a view in the online store."""

    number: int
    schema_hash: str
    cursor: int  # the newest publication sequence that it has seen
    clock: datetime  # rows with event_timestamp up to here are in it
    loaded_at: datetime


@dataclass(frozen=True, kw_only=True)
class OnlineRow:
    """The newest values of one entity. Times in microseconds since 1970, UTC."""

    event_timestamp: int
    created_timestamp: int | None
    values: tuple[Any, ...]  # in the order of the view's features


class OnlineStore(Protocol):
    """Newest values by entity. Every method raises OnlineStoreUnavailable where the server cannot be reached."""

    def generation(self, view: FeatureView) -> Generation | None:
        """The generation that readers see; None where the view was never loaded."""

    def load(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        *,
        cursor: int,
        clock: datetime,
        new_generation: bool,
        expire: bool = True,
    ) -> int:
        """Write rows (the view's `row_columns`) and return how many were sent.

        A row without event_timestamp is a tombstone: its key has no value any more. With `new_generation` the rows
        are all there is, and readers see them only once all are written; otherwise they go into the live one.
        A write of a publication sequence at or below the stored one changes nothing.
        `expire` lets the server collect rows a day after event_timestamp + ttl; not under a fixed clock.
        """

    def read(
        self, requests: Sequence[tuple[FeatureView, Sequence[tuple[Any, ...] | None]]]
    ) -> list[list[OnlineRow | None]]:
        """For each view and each tuple of join key values its row, all in one round trip; None where there is none.

        None for a key (one of its values is null) gives None.
        """

    def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes, and the token that a replacement must name."""

    data: bytes
    generation: str


class ObjectStore(Protocol):
    """Named objects, with the two guarantees that a registry needs. Raises RegistryError where it cannot be reached."""

    @property
    def url(self) -> str:
        """Where the objects are, as people write it."""

    def read(self, name: str) -> StoredObject | None:
        """The object; None where there is none. Never a torn one."""

    def create(self, name: str, data: bytes) -> bool:
        """Write a new object. False where one of the name exists, which stays as it is."""

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        """Write an object if it is still at `generation` (None: not there). False where somebody was quicker."""

    def names(self, prefix: str) -> Iterator[str]:
        """The names that start with `prefix`, sorted."""


class Registry(Protocol):
    """Definitions as applied, and what runs did."""

    @property
    def url(self) -> str:
        """Where it is."""

    def head(self) -> Snapshot | None:
        """The snapshot that counts; None before the first apply."""

    def catalogue(self) -> Catalogue:
        """What was applied last; an empty catalogue before the first apply."""

    def apply(self, catalogue: Catalogue, *, parent: str | None, clock: datetime) -> Snapshot:
        """Make `catalogue` what counts, if the head is still the snapshot `parent`. Raises RegistryConflict."""

    def history(self) -> Iterator[Snapshot]:
        """The head, its parent, and so on to the first apply, each read when it is asked for."""

    def catalogue_of(self, snapshot: Snapshot) -> Catalogue:
        """What a snapshot holds."""

    def record(self, run: RunRecord) -> str:
        """Keep a run's record, for good; the name of its object. Recording the same again changes nothing."""

    def records(
        self,
        name: str | None = None,
        *,
        kind: str | None = None,
        status: str | None = None,
        run_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
    ) -> Iterator[RunRecord]:
        """The records of one view, source or training set, or of all; newest first.

        Of one kind, status or run, started in [since, until), where that is said.
        """

    def put_manifest(self, name: str, version: str, manifest: dict[str, Any]) -> str:
        """Keep what a version of a training set was made from, for good; the name of its object.

        Putting the same again changes nothing. Raises RegistryConflict where the version has another manifest.
        """

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of that version; None where there is none."""

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set in the order of their names, which begin with their time: newest last."""
