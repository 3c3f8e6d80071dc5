"""An online store in the memory of this process: dictionaries and a lock, written on domain/ports/online.py alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa

from amora_fs_assets import FeatureView, Settings
from amora_fs_assets.domain import generations
from amora_fs_assets.domain.errors import OnlineStoreError
from amora_fs_assets.domain.ports.online import (
    NEVER,
    UNPUBLISHED,
    Filling,
    Generation,
    Key,
    Load,
    OnlineRequest,
    OnlineRows,
    Origin,
    ShardResult,
    ViewState,
)
from amora_fs_assets.domain.time import from_microseconds
from amora_fs_assets_tests.fakes.rows import Rows, put, read_rows, rows_of

Check = Callable[[Callable[[Sequence[Key]], OnlineRows]], None]


@dataclass
class View:
    """All that a server knows of a view."""

    state: ViewState = field(default_factory=ViewState)
    rows: dict[str, Rows] = field(default_factory=dict)  # by the location of their generation
    written: set[str] = field(default_factory=set)
    begun: int = 0  # how many generations were begun, so that each one has a location of its own


class Server:
    """The views of all projects on one URL."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.views: dict[tuple[str, str], View] = {}


_servers: dict[str, Server] = {}


def opened(settings: Settings) -> MemoryOnlineStore:
    """The store at the URL of the settings."""
    return MemoryOnlineStore(_servers.setdefault(settings.online_store_url, Server()), settings.project)


class MemoryOnlineStore:
    """OnlineStore over a server in this process. It collects no row because of its age."""

    def __init__(self, server: Server, project: str) -> None:
        self._lock = server.lock
        self._views, self._project = server.views, project

    def generation(self, view: FeatureView) -> Generation | None:
        return self.state(view.name).newest

    def state(self, name: str) -> ViewState:
        return self._view(name).state

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
        check: Check | None = None,
    ) -> int:
        load = self._begun(view, published_through, clock, origin, None, new_generation=new_generation, window=window)
        if load is None:
            return 0
        try:
            written = self._written(view, load, batches)
        except BaseException:
            self._give_up(view, load)
            raise
        return self.finish(view, load, [written], check=check)

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
        until = datetime.now(UTC) + lasting
        return self._begun(view, published_through, clock, origin, until, new_generation=new_generation, window=False)

    def write(
        self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, lasting: timedelta, expire: bool
    ) -> ShardResult:
        self._renew(view, load, lasting)
        written = self._written(view, load, batches)
        self._renew(view, load, lasting)
        return written

    def finish(
        self, view: FeatureView, load: Load, written: Sequence[ShardResult], *, check: Check | None = None
    ) -> int:
        newest_event = max((each.newest_event for each in written if each.newest_event), default=None)
        try:
            if load.new_generation and check is not None:
                check(partial(self._unseen, view, load))
            with self._lock:
                kept, now = self._view(view.name), datetime.now(UTC)
                if load.new_generation:
                    filled = generations.filled(view, load, newest_event, now=now)
                    kept.state = generations.going_live(kept.state, generation=filled, before=load.before, now=now)
                    if filled not in kept.state.generations:
                        return 0
                else:
                    kept.state = generations.advanced(kept.state, load, newest_event, now=now)
                if not load.window:
                    kept.written.difference_update(load.origin.written)
        except BaseException:
            self._give_up(view, load)
            raise
        finally:
            self._clean(view.name)
        return sum(each.rows for each in written)

    def check_push(self, view: FeatureView) -> None:
        generations.check_push(view, self.state(view.name))

    def written(self, name: str) -> frozenset[str]:
        with self._lock:
            return frozenset(self._view(name).written)

    def push(
        self,
        view: FeatureView,
        batch: pa.RecordBatch,
        *,
        sequence: int | None,
        publication_id: str = "",
        expire: bool = True,
    ) -> int:
        published, won = UNPUBLISHED if sequence is None else sequence, 0
        with self._lock:
            kept = self._view(view.name)
            kept.written.update({publication_id} - {""})
            if sequence is None:
                self.check_push(view)
            for each in _all(kept.state):
                if generations.takes(each, view) and each.published_through < published:
                    newer = put(kept.rows[each.location], rows_of(view, batch, published, pushed=True))
                    won += newer if each.number == kept.state.live_number else 0
        return won

    def read(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        with self._lock:
            return [self._answer(request) for request in requests]

    async def read_async(self, requests: Sequence[OnlineRequest], *, timeout: float | None = None) -> list[OnlineRows]:
        return self.read(requests, timeout=timeout)

    def sample_keys(self, view: FeatureView, count: int | None) -> list[Key]:
        with self._lock:
            return [tuple(value for _, value in key) for key in self._live(view) if key][:count]

    def count(self, view: FeatureView, most: int) -> int | None:
        with self._lock:
            count = len(self._live(view))
        return count if count <= most else None

    def rollback(self, name: str, to: int | None = None) -> Generation:
        with self._lock:
            kept = self._view(name)
            picked = kept.state.after_rollback(name, to)
            kept.state = replace(kept.state, live_number=picked.number, pinned=True)
        return picked

    def remove(self, name: str) -> None:
        with self._lock:
            self._views.pop((self._project, name), None)

    def unpin(self, name: str) -> Generation:
        with self._lock:
            kept = self._view(name)
            picked = kept.state.after_unpin(name)
            kept.state = replace(kept.state, live_number=picked.number, pinned=False)
        return picked

    def close(self) -> None:
        """Nothing is held."""

    async def close_async(self) -> None:
        """Nothing is held."""

    def _view(self, name: str) -> View:
        return self._views.setdefault((self._project, name), View())

    def _begun(
        self,
        view: FeatureView,
        published_through: int,
        clock: datetime,
        origin: Origin | None,
        until: datetime | None,
        *,
        new_generation: bool,
        window: bool,
    ) -> Load | None:
        """The load, and where it is of a new generation, the generation among those that are being filled."""
        with self._lock:
            self._clean(view.name)
            kept = self._view(view.name)
            newest = kept.state.newest
            load = Load(
                number=newest.number if newest else 0,
                location=newest.location if newest else "",
                published_through=published_through,
                clock=clock,
                new_generation=False,
                before=newest,
                window=window,
                origin=origin or Origin(),
            )
            if new_generation or (newest is None and load.origin.generation is None):
                return self._listed(view, load, until)
            if newest and not window and (published_through, clock) < (newest.published_through, newest.clock):
                return None
            if newest is None or load.origin.generation not in (None, newest.number):
                raise OnlineStoreError(f"{view}: another load went live during this load. Run this load again.")
            kept.written.update({load.origin.published_id} - {""})
            return load

    def _listed(self, view: FeatureView, load: Load, until: datetime | None) -> Load:
        kept = self._view(view.name)
        kept.begun += 1
        number = max((each.number for each in _all(kept.state)), default=0) + 1
        filling = Filling(
            number=number,
            location=f"{view.name}/{kept.begun}",
            until=until,
            published_through=load.published_through,
            view_id=view.view_id,
            schema_hash=view.schema_hash,
        )
        kept.rows[filling.location] = {}
        kept.state = replace(kept.state, filling=(*kept.state.filling, filling))
        return replace(load, number=number, location=filling.location, new_generation=True)

    def _renew(self, view: FeatureView, load: Load, lasting: timedelta) -> None:
        """Note that a process still writes the load. Raises OnlineStoreError if the load counted as dead."""
        with self._lock:
            kept, until = self._view(view.name), datetime.now(UTC) + lasting
            if load.new_generation and load.location not in kept.rows:
                raise OnlineStoreError(
                    f"{view}: this load counted as dead, and its rows were removed. Run the load again."
                )
            filling = (replace(e, until=until) if e.location == load.location else e for e in kept.state.filling)
            kept.state = replace(kept.state, filling=tuple(filling))

    def _written(self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch]) -> ShardResult:
        sent, newest = 0, NEVER
        for batch in batches:
            rows = rows_of(view, batch, load.published_through)
            if load.new_generation:  # there is nothing that a tombstone could take away
                rows = [(key, row) for key, row in rows if row.event != NEVER]
            with self._lock:
                put(self._view(view.name).rows.get(load.location, {}), rows)
            sent += len(rows)
            newest = max([newest, *(row.event for _, row in rows)])
        return ShardResult(rows=sent, newest_event=None if newest == NEVER else from_microseconds(newest))

    def _give_up(self, view: FeatureView, load: Load) -> None:
        with self._lock:
            kept = self._view(view.name)
            filling = tuple(each for each in kept.state.filling if each.location != load.location)
            kept.state = replace(kept.state, filling=filling)
            self._clean(view.name)

    def _clean(self, name: str) -> None:
        """Remove what dead loads filled, and generations that nobody reads or may go back to."""
        with self._lock:
            kept, now = self._view(name), datetime.now(UTC)
            numbers = {kept.state.live_number, *(each.number for each in kept.state.generations[-2:])}
            complete = tuple(each for each in kept.state.generations if each.number in numbers)
            filling = tuple(each for each in kept.state.filling if each.until is None or each.until > now)
            kept.state = replace(kept.state, generations=complete, filling=filling)
            kept.rows = {each.location: kept.rows[each.location] for each in _all(kept.state)}

    def _live(self, view: FeatureView) -> Rows:
        """The rows that readers see, without tombstones."""
        kept = self._view(view.name)
        rows = kept.rows[kept.state.live.location] if kept.state.live else {}
        return {key: row for key, row in rows.items() if row.event != NEVER}

    def _unseen(self, view: FeatureView, load: Load, keys: Sequence[Key]) -> OnlineRows:
        """Rows of a generation that is being filled."""
        with self._lock:
            rows = self._view(view.name).rows[load.location]
            return read_rows(rows, keys, [column.name for column in view.online_columns])

    def _answer(self, request: OnlineRequest) -> OnlineRows:
        kept, view = self._view(request.view.name), request.view
        live = kept.state.live
        if live is None or not generations.serves(live, view):
            return generations.no_rows(view, request.count, live)
        keys = list(zip(*request.keys, strict=True)) if request.keys else [()] * request.count
        rows = read_rows(kept.rows[live.location], keys, [name for name, _ in live.features])
        return generations.in_types_of(view, rows, live)


def _all(state: ViewState) -> list[Generation | Filling]:
    return [*state.generations, *state.filling]
