"""The online store: the newest values of each entity. One contract suite for all stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One complete state of a view in the online store."""

    number: int
    schema_hash: str
    keys: tuple[tuple[str, str], ...]  # names and types of the join keys
    features: tuple[tuple[str, str], ...]  # and of the features, in the order in which rows hold them
    published_through: int  # the newest publication sequence that it has seen
    published_id: str = ""  # and that publication's id
    view_id: str = ""  # of the view's life in the registry
    incarnation: str = ""  # of the table that the rows are of
    kept: float | None = None  # Redis may collect rows that are older than this [s]; None: it collects none
    clock: datetime  # rows with event_timestamp up to here are in it
    reach: datetime | None = None  # rows that windows brought go up to here, where that is after the clock
    partial: bool = False  # it holds the keys of windows alone; the next incremental load brings the others
    loaded_at: datetime
    location: str  # where its rows are, in the store's own words
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
    location: str
    until: datetime | None = None  # so long it counts as alive, although no process may be at work on it
    published_through: int = 0  # the publications up to here are in the rows that its load reads
    view_id: str = ""  # as of a Generation
    schema_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load under way: what its parts, in whatever processes, have to know of each other."""

    number: int  # of the generation
    location: str
    published_through: int
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
    published_id: str = ""
    generation: int | None = None  # the number of the generation that the rows are an addition to; None: of any
    written: tuple[str, ...] = ()  # ids of `OnlineStore.written` that the load compared with the publications


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """What a part of a load wrote."""

    rows: int
    newest_event: datetime | None = None  # the greatest event_timestamp


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """What the online store knows of a view."""

    live_number: int = 0  # number of the generation that readers see; 0: never loaded
    pinned: bool = False  # by a rollback: loads go on in the newest generation, readers stay
    generations: tuple[Generation, ...] = ()  # complete ones, oldest first
    filling: tuple[Filling, ...] = ()

    @property
    def live(self) -> Generation | None:
        """The generation that readers see."""
        return next((each for each in self.generations if each.number == self.live_number), None)

    @property
    def newest(self) -> Generation | None:
        """The generation that loads go on with."""
        return self.generations[-1] if self.generations else None

    def after_rollback(self, view: str, to: int | None = None) -> Generation:
        """What readers would see after a rollback, by default to the generation before theirs.

        Raises OnlineStoreError where it is not there.
        """
        live = self.live
        before = self.generations[: self.generations.index(live)] if live else ()  # in the order of going live
        older = [each for each in before if live and each.view_id == live.view_id]
        picked = older[-1:] if to is None else [each for each in self.generations if each.number == to]
        if not picked:
            there = ", ".join(str(each.number) for each in self.generations) or "none"
            which = f"generation {to}" if to is not None else "a generation before the live one"
            raise OnlineStoreError(
                f"Feature view '{view}': {which} is not there (there: {there}; live: {self.live_number or 'none'})."
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
        published_through: int,
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
        published_through: int,
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
    ) -> ShardResult:
        """Write a part of a load's rows. Writing it again, or in parts of other rows, comes to the same."""

    def finish(
        self,
        view: FeatureView,
        load: Load,
        written: Sequence[ShardResult],
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
        """How many keys have a row in the generation that readers see; None where it has more than `most` keys.

        Keys whose rows were taken away may count towards `most`.
        """

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
