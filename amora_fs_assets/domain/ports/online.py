"""The online store: the newest values of each entity. One contract suite for all stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.time import EPOCH

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One complete state of a view in the online store."""

    number: int
    schema_hash: str
    keys: tuple[tuple[str, str], ...]  # names and types of the join keys
    features: tuple[tuple[str, str], ...]  # names and types of the features, in the order of a stored row
    published_through: int  # the sequence of the newest loaded publication
    published_id: str = ""  # the id of this publication
    view_id: str = ""
    incarnation: str = ""  # of the offline table that the rows come from
    kept: float | None = None  # Redis may collect older rows [s]; None: Redis collects no rows
    clock: datetime  # the generation has rows with event_timestamp up to this instant
    reach: datetime | None = None  # the latest event_timestamp of a window load, if after the clock
    partial: bool = False  # it holds only the keys of window loads; the next incremental load adds all other keys
    loaded_at: datetime
    location: str  # where the rows are; the format is the store's own
    newest_event: datetime | None = None  # the greatest loaded event_timestamp
    retired_at: datetime | None = None

    @property
    def begun_by_push(self) -> bool:
        """Whether rows were pushed before the view's first load: nothing but pushes and windows are in it."""
        return self.partial and self.clock == EPOCH

    @property
    def reached(self) -> datetime:
        """No loaded row has a later event_timestamp."""
        return self.reach or self.clock


@dataclass(frozen=True, kw_only=True)
class Filling:
    """An incomplete generation: a load fills it, or filled it when its process died."""

    number: int
    location: str
    until: datetime | None = None  # until then the load counts as alive, even without a working process
    published_through: int = 0  # the sequence of the newest publication that the load reads
    view_id: str = ""
    schema_hash: str = ""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A load in progress: the state that its parts, in several processes, share."""

    number: int  # of the generation
    location: str
    published_through: int
    clock: datetime
    new_generation: bool
    before: Generation | None  # the newest generation when the load began
    window: bool = False  # the load brings only some keys; rows of other keys stay
    origin: Origin = field(default_factory=lambda: Origin())
    kept: float | None = None  # as in Generation


@dataclass(frozen=True, kw_only=True)
class Origin:
    """The origin of a load's rows, beside `published_through`: see docs/protocol.md."""

    incarnation: str = ""
    published_id: str = ""
    generation: int | None = None  # the number of the generation that the load adds rows to; None: any generation
    written: tuple[str, ...] = ()  # ids of `OnlineStore.written` that the load compared with the publications


@dataclass(frozen=True, kw_only=True)
class ShardResult:
    """The result of one part of a load."""

    rows: int
    newest_event: datetime | None = None  # the greatest event_timestamp


@dataclass(frozen=True, kw_only=True)
class ViewState:
    """The state of a view in the online store."""

    live_number: int = 0  # the number of the generation that readers see; 0: never loaded
    pinned: bool = False  # by a rollback: readers stay on the live generation, while loads go to the newest one
    generations: tuple[Generation, ...] = ()  # complete ones, oldest first
    filling: tuple[Filling, ...] = ()

    @property
    def live(self) -> Generation | None:
        """The generation that readers see."""
        return next((each for each in self.generations if each.number == self.live_number), None)

    @property
    def newest(self) -> Generation | None:
        """The newest complete generation, to which loads add rows."""
        return self.generations[-1] if self.generations else None

    def after_rollback(self, view: str, to: int | None = None) -> Generation:
        """The generation that a rollback makes live, by default the one before the live generation.

        Raises OnlineStoreError if this generation does not exist.
        """
        live = self.live
        before = self.generations[: self.generations.index(live)] if live else ()  # in the order of going live
        older = [each for each in before if live and each.view_id == live.view_id]
        picked = older[-1:] if to is None else [each for each in self.generations if each.number == to]
        if not picked:
            known = ", ".join(str(each.number) for each in self.generations) or "none"
            which = f"generation {to}" if to is not None else "a generation before the live one"
            raise OnlineStoreError(
                f"Feature view '{view}': {which} does not exist (existing: {known}; "
                f"live: {self.live_number or 'none'})."
            )
        return picked[0]

    def after_unpin(self, view: str) -> Generation:
        """The generation that an unpin makes live. Raises OnlineStoreError if the view was never loaded."""
        if self.newest is None:
            raise OnlineStoreError(f"Feature view '{view}' was never loaded: there is nothing to unpin.")
        return self.newest


PUSHED = 1 << 24
"""The bit that is set in the mark of a pushed row."""

UNPUBLISHED = 2**32 - 1
"""The sequence in the upper half of the mark of a row that was pushed only to the online store."""

NEVER = -(2**63)
"""The event_timestamp of a missing row."""


@dataclass(slots=True)  # not frozen: a frozen object takes ten times as long to make, and every read makes several
class OnlineRows:
    """Rows of one view by column, in the order of the request. Times in microseconds since 1970, UTC."""

    event_timestamps: list[int]  # NEVER for a missing row
    created_timestamps: list[int | None]
    columns: Mapping[str, list[Any]]  # values by feature
    marks: list[int]  # set by the store; readers use only PUSHED and UNPUBLISHED
    complete: bool  # no row is missing and no value is null, except values of added features
    added: frozenset[str] = frozenset()  # features that the view got after its last load: their values are null
    loaded: bool = True  # whether the store has a generation of the view

    @property
    def pushed(self) -> list[bool]:
        """Whether each row was pushed."""
        return [bool(mark & PUSHED) for mark in self.marks]

    @property
    def unpublished(self) -> list[bool]:
        """Whether each row was pushed only to the online store: no publication holds the row."""
        return [bool(mark & PUSHED) and mark >> 32 == UNPUBLISHED for mark in self.marks]


Key = tuple[Any, ...]
"""An entity: the values of a view's join keys, in order."""


@dataclass(slots=True)
class OnlineRequest:
    """Keys of one view, by column. An entity with a null key value is not found."""

    view: FeatureView
    keys: Sequence[Sequence[Any]]  # a column of values for each join key
    count: int  # of entities


class OnlineStore(Protocol):
    """Newest values by entity. Every method raises OnlineStoreUnavailable if the server cannot be reached."""

    def generation(self, view: FeatureView) -> Generation | None:
        """The newest complete generation, to which loads add rows; None if the view was never loaded."""

    def state(self, name: str) -> ViewState:
        """All generations of a view, and the number of the live one."""

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
        """Write rows (the view's `row_columns`) and return the number of sent rows.

        A row without event_timestamp is a tombstone: its key has no value any more. With `new_generation` the rows are
        the whole new generation. It goes live once all rows are written and `check`, which receives a function to read
        the rows, has not raised. Otherwise the rows go into the newest generation. A row with a lower publication
        sequence than the stored row's, or with the same sequence and an older time, changes nothing; nor does a load
        with an older cursor than the generation's. Raises OnlineStoreError if the generation of `origin` is no longer
        the newest, unless the newest has an equal or newer cursor. A `window` brings only some keys: the generation's
        cursor and clock stay, and a new generation is partial. `expire` lets the server collect rows a day after
        event_timestamp + ttl; False under a fixed clock.
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
        """Begin a load whose parts other processes write; None if the store has a newer state already.

        A new generation counts as dead if no part writes to it for `lasting`.
        """

    def write(
        self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, lasting: timedelta, expire: bool
    ) -> ShardResult:
        """Write a part of a load's rows. Writing rows again, or in other parts, gives the same result."""

    def finish(
        self,
        view: FeatureView,
        load: Load,
        written: Sequence[ShardResult],
        *,
        check: Callable[[Callable[[Sequence[Key]], OnlineRows]], None] | None = None,
    ) -> int:
        """End a load once all parts are written, as `load` does, and return the number of sent rows."""

    def check_push(self, view: FeatureView) -> None:
        """Raise OnlineStoreError if a push is not possible: the view was never loaded, or with other columns."""

    def written(self, name: str) -> frozenset[str]:
        """Ids of publications whose rows loads and pushes may have written since the last load that compared the ids.

        If the offline store does not have a publication of such an id, the publication was lost, but its rows are
        online.
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
        """Write rows that are newer than the stored rows, into every generation with compatible columns.

        `sequence` and `publication_id` belong to the publication of the same rows; None and "" without one. Generations
        that include this publication are skipped. Returns the number of rows that were newer in the live generation.
        Without a publication, raises OnlineStoreError as `check_push` does.
        """

    def read(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """The rows of each request, in one round trip. Raises OnlineStoreUnavailable after `timeout` [s]."""

    async def read_async(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        """As `read`."""

    def sample_keys(self, view: FeatureView, count: int | None) -> list[Key]:
        """Up to `count` keys with a row in the live generation; all keys for None."""

    def count(self, view: FeatureView, most: int) -> int | None:
        """The number of keys with a row in the live generation; None for more than `most` keys.

        Keys whose rows were removed may count towards `most`.
        """

    def rollback(self, name: str, to: int | None = None) -> Generation:
        """Make generation `to` live until unpinned; by default the generation before the live one.

        Raises OnlineStoreError if the generation does not exist.
        """

    def unpin(self, name: str) -> Generation:
        """Make the newest generation live again. Raises OnlineStoreError if the view was never loaded."""

    def remove(self, name: str) -> None:
        """Remove all rows and the state of a view, as if it was never loaded. A running load of the view fails."""

    def close(self) -> None:
        """Close the connections."""

    async def close_async(self) -> None:
        """Close the connections of the running event loop."""
