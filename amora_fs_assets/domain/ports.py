"""What the verbs need of the stores: small protocols, each with one contract suite for all its implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable
from uuid import uuid4

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.column import Column
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.names import CREATED_TIMESTAMP, dropped_sequence
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Publication, RunRecord, Snapshot
from amora_fs_assets.domain.time import Interval, Period
from amora_fs_assets.domain.types import DataType

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
    def engine(self) -> Engine:
        """The dialect that it speaks."""

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


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One complete state of a view in the online store."""

    number: int
    schema_hash: str
    keys: tuple[tuple[str, str], ...]  # names and types of the join keys
    features: tuple[tuple[str, str], ...]  # and of the features, in the order in which rows hold them
    cursor: int  # the newest publication sequence that it has seen
    cursor_id: str = ""  # and that publication's id
    view_id: str = ""  # of the view's life in the registry
    incarnation: str = ""  # of the table that the rows are of
    kept: float | None = None  # Redis may collect rows that are older than this [s]; None: it collects none
    clock: datetime  # rows with event_timestamp up to here are in it
    reach: datetime | None = None  # rows that windows brought go up to here, where that is after the clock
    partial: bool = False  # it holds the keys of windows alone; the next incremental load brings the others
    loaded_at: datetime
    prefix: str  # of its rows' keys
    newest_event: datetime | None = None  # the greatest event_timestamp that was loaded
    retired_at: datetime | None = None

    @property
    def reached(self) -> datetime:
        """No row that a load brought has a later event_timestamp."""
        return self.reach or self.clock


@dataclass(frozen=True, kw_only=True)
class Filling:
    """A generation that is being filled, or was when its process died."""

    number: int
    prefix: str
    until: datetime | None = None  # so long it counts as alive, although no process may be at work on it
    cursor: int = 0  # the publications up to here are in the rows that its load reads
    view_id: str = ""  # as of a Generation
    schema_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load under way: what its parts, in whatever processes, have to know of each other."""

    number: int  # of the generation
    prefix: str
    cursor: int
    clock: datetime
    new_generation: bool
    before: Generation | None  # the newest when it began
    window: bool = False  # it brings some keys; what the generation knows of the others stays
    origin: Origin = field(default_factory=lambda: Origin())
    kept: float | None = None  # as of the Generation


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What a load's rows are of, beside the cursor: see docs/protocol.md."""

    incarnation: str = ""
    cursor_id: str = ""
    generation: int | None = None  # the number of the generation that the rows are an addition to; None: of any
    written: tuple[str, ...] = ()  # ids of `OnlineStore.written` that the load compared with the publications


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a part of a load wrote."""

    rows: int
    newest_event: datetime | None = None  # the greatest event_timestamp


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """What the online store knows of a view."""

    live: int = 0  # number of the generation that readers see; 0: never loaded
    pinned: bool = False  # by a rollback: loads go on in the newest generation, readers stay
    generations: tuple[Generation, ...] = ()  # complete ones, oldest first
    filling: tuple[Filling, ...] = ()

    @property
    def seen(self) -> Generation | None:
        """The generation that readers see."""
        return next((each for each in self.generations if each.number == self.live), None)

    @property
    def newest(self) -> Generation | None:
        """The generation that loads go on with."""
        return self.generations[-1] if self.generations else None

    def after_rollback(self, view: str, to: int | None = None) -> Generation:
        """What readers would see after a rollback, by default to the generation before theirs.

        Raises OnlineStoreError where it is not there.
        """
        seen = self.seen
        before = self.generations[: self.generations.index(seen)] if seen else ()  # in the order of going live
        older = [each for each in before if seen and each.view_id == seen.view_id]
        picked = older[-1:] if to is None else [each for each in self.generations if each.number == to]
        if not picked:
            there = ", ".join(str(each.number) for each in self.generations) or "none"
            which = f"generation {to}" if to is not None else "a generation before the live one"
            raise OnlineStoreError(
                f"Feature view '{view}': {which} is not there (there: {there}; live: {self.live or 'none'})."
            )
        return picked[0]

    def after_unpin(self, view: str) -> Generation:
        """What readers would see once unpinned. Raises OnlineStoreError where the view was never loaded."""
        if self.newest is None:
            raise OnlineStoreError(f"Feature view '{view}' was never loaded: there is nothing to unpin.")
        return self.newest


PUSHED = 1 << 24
"""Set in the mark of a row that was pushed."""

UNPUBLISHED = 2**32 - 1
"""The sequence, in the upper half of a mark, of a row that was pushed to readers alone."""

NEVER = -(2**63)
"""The event_timestamp of a row that is not there."""


@dataclass(slots=True)  # not frozen: that makes one ten times as slow to make, and every read makes some
class OnlineRows:
    """Rows of one view by column, in the order asked for. Times in microseconds since 1970, UTC."""

    event_timestamps: list[int]  # NEVER where there is no row
    created_timestamps: list[int | None]
    columns: Mapping[str, list[Any]]  # of the features that are online
    marks: list[int]  # of the store, opaque but for PUSHED and UNPUBLISHED
    complete: bool  # every row is there, and no value is null, but for those of added features
    added: frozenset[str] = frozenset()  # features that the view got since its load: they are null
    loaded: bool = True  # whether the store has a generation of the view

    @property
    def pushed(self) -> list[bool]:
        """Whether each row came by a push."""
        return [bool(mark & PUSHED) for mark in self.marks]

    @property
    def unpublished(self) -> list[bool]:
        """Whether each row was pushed to readers alone: no publication holds it."""
        return [bool(mark & PUSHED) and mark >> 32 == UNPUBLISHED for mark in self.marks]


Key = tuple[Any, ...]
"""An entity: the values of a view's join keys, in order."""


@dataclass(slots=True)
class OnlineRequest:
    """Keys of one view, by column; where one of an entity's values is null, the entity is not found."""

    view: FeatureView
    keys: Sequence[Sequence[Any]]  # a column of values for each join key
    count: int  # of entities


class OnlineStore(Protocol):
    """Newest values by entity. Every method raises OnlineStoreUnavailable where the server cannot be reached."""

    def generation(self, view: FeatureView) -> Generation | None:
        """The generation that loads go on with, the newest complete one; None where the view was never loaded."""

    def state(self, name: str) -> ViewState:
        """All generations of the view of that name, and which one readers see."""

    def load(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        *,
        cursor: int,
        clock: datetime,
        new_generation: bool,
        window: bool = False,
        origin: Origin | None = None,
        expire: bool = True,
        check: Callable[[Callable[[Sequence[Key]], OnlineRows]], None] | None = None,
    ) -> int:
        """Write rows (the view's `row_columns`) and return how many were sent.

        A row without event_timestamp is a tombstone: its key has no value any more. With `new_generation` the rows
        are all there is, and readers see them only once all are written and `check`, which gets a function to read
        them with, has raised nothing; otherwise they go into the newest generation. A row of a lower publication
        sequence than the stored one's, or of the same one and older, changes nothing; neither does a load that
        knows less than the generation. Raises OnlineStoreError where the generation of `origin` is not the newest any
        more, and the newest does not know as much. A `window` brings some keys alone: the generation's cursor and clock
        stay, and a new generation is partial. `expire` lets the server collect rows a day after event_timestamp + ttl;
        not under a fixed clock.
        """

    def begin(
        self,
        view: FeatureView,
        *,
        cursor: int,
        clock: datetime,
        new_generation: bool,
        lasting: timedelta,
        expire: bool = True,
        origin: Origin | None = None,
    ) -> Load | None:
        """Begin a load whose parts are written by other processes; None where the store knows more already.

        A new generation is taken for dead once nobody has written to it for `lasting`.
        """

    def write(
        self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, lasting: timedelta, expire: bool
    ) -> Written:
        """Write a part of a load's rows. Writing it again, or in parts of other rows, comes to the same."""

    def finish(
        self,
        view: FeatureView,
        load: Load,
        written: Sequence[Written],
        *,
        check: Callable[[Callable[[Sequence[Key]], OnlineRows]], None] | None = None,
    ) -> int:
        """End a load whose parts were all written, as `load` does, and return how many rows were sent."""

    def check_push(self, view: FeatureView) -> None:
        """Raise OnlineStoreError where rows of the view cannot be pushed: it was never loaded, or in other columns."""

    def written(self, name: str) -> frozenset[str]:
        """Ids of publications whose rows loads and pushes may have written since a load ended that compared them.

        One that the offline store does not have was lost there, and its rows are online.
        """

    def push(
        self,
        view: FeatureView,
        batch: pa.RecordBatch,
        *,
        sequence: int | None,
        publication_id: str = "",
        expire: bool = True,
    ) -> int:
        """Write rows that are newer than what is there, into every generation that can hold them, in its columns.

        `sequence` and `publication_id` are of the publication that holds the rows too; None and "" where none does. A
        generation that has seen that publication is left out. Gives how many rows were newer in the generation that
        readers see. Rows without a publication raise OnlineStoreError as `check_push`.
        """

    def read(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """For each request its rows, all in one round trip. Raises OnlineStoreUnavailable after `timeout` [s]."""

    async def read_async(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """As `read`."""

    def sample_keys(self, view: FeatureView, count: int | None) -> list[Key]:
        """Up to `count` keys that have a row in the generation that readers see; all of them with None."""

    def count(self, view: FeatureView, most: int) -> int | None:
        """How many keys have a row in the generation that readers see; None where it has more than `most` keys."""

    def rollback(self, name: str, to: int | None = None) -> Generation:
        """Let readers see generation `to`, the one before theirs by default, until unpinned.

        Raises OnlineStoreError where it is not there any more.
        """

    def unpin(self, name: str) -> Generation:
        """Let readers see the newest generation again. Raises OnlineStoreError where the view was never loaded."""

    def close(self) -> None:
        """Give connections back."""

    async def close_async(self) -> None:
        """Give the running event loop's connections back."""


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

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot that counted at that time (now, if none is said), its parent, and so on to the first apply.

        Each is read when it is asked for; of those after `at` only a few are.
        """

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
