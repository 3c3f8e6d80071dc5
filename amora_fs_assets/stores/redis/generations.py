"""Generations of a view in Redis: filling, going live, pushing, rolling back.

The state of a view is one string, changed by compare-and-swap. The key of a row always has the prefix of the row's
generation. So a process that dies at any point leaves either the old or the new state. An incomplete generation is
listed under `filling`, and the next load removes its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from amora_fs_assets.domain.errors import FeatureStoreError, OnlineStoreError
from amora_fs_assets.domain.expiry import kept
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.generations import advanced, check_push, filled, going_live, shape, takes
from amora_fs_assets.domain.ports.online import (
    UNPUBLISHED,
    Filling,
    Generation,
    Key,
    Load,
    OnlineRows,
    Origin,
    ShardResult,
    ViewState,
)
from amora_fs_assets.stores.redis import row_codec
from amora_fs_assets.stores.redis.cleaning import Cleaning
from amora_fs_assets.stores.redis.connection import Connection
from amora_fs_assets.stores.redis.keys import PREFIXES, key_of, namer, prefix_of
from amora_fs_assets.stores.redis.scripts import BATCH, PUSH, WRITE
from amora_fs_assets.stores.redis.state import Change, States, numbers
from amora_fs_assets.stores.redis.writing import Expiry, Rows, write

if TYPE_CHECKING:
    import pyarrow as pa

Check = Callable[[Callable[[Sequence[Key]], OnlineRows]], None]
_COUNTED_FROM = datetime(2026, 1, 1, tzinfo=UTC)


class RedisGenerations:
    """The writing half of the online store."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project
        self._states = States(connection, project)
        self._cleaning = Cleaning(connection, self._states)

    def state(self, name: str) -> ViewState:
        """All generations of a view, and the number of the live one."""
        return self._states.read(name)

    def generation(self, view: FeatureView) -> Generation | None:
        """The newest complete generation, to which loads add rows; None if the view was never loaded."""
        return self.state(view.name).newest

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
        """Write rows and return the number of sent rows; see OnlineStore."""
        load = self._prepare(
            view,
            published_through,
            clock,
            new_generation=new_generation,
            window=window,
            origin=origin or Origin(),
            expire=expire,
        )
        if load is None:
            return 0
        with self._connection.named(self._cleaning.connection_name(load.location)) as client:
            load = self._add_to_filling(view, load, until=None)
            try:
                written = self._written(client, view, load, batches, expire=expire)
                return self._finish(view, load, [written], check)
            except BaseException:
                self._abandon(view, load)
                raise

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
        """Begin a load whose parts other processes write; see OnlineStore."""
        load = self._prepare(
            view,
            published_through,
            clock,
            new_generation=new_generation,
            window=False,
            origin=origin or Origin(),
            expire=expire,
        )
        if load is None:
            return None
        return self._add_to_filling(view, load, until=datetime.now(UTC) + lasting)

    def write(
        self, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, lasting: timedelta, expire: bool
    ) -> ShardResult:
        """Write a part of a load's rows; see OnlineStore."""
        with self._connection.named(self._cleaning.connection_name(load.location)) as client:
            self._renew(view, load, lasting)
            written = self._written(client, view, load, batches, expire=expire)
            self._renew(view, load, lasting)
        return written

    def finish(
        self, view: FeatureView, load: Load, written: Sequence[ShardResult], *, check: Check | None = None
    ) -> int:
        """End a load once all parts are written; see OnlineStore."""
        try:
            return self._finish(view, load, written, check)
        except BaseException:
            self._abandon(view, load)
            raise

    def check_push(self, view: FeatureView) -> None:
        """Raise OnlineStoreError if rows of the view cannot be pushed; see OnlineStore."""
        check_push(view, self.state(view.name))

    def written(self, name: str) -> frozenset[str]:
        """Ids of publications whose rows may be online since the last load that compared the ids; see OnlineStore."""
        return self._states.written(name)

    def push(
        self,
        view: FeatureView,
        batch: pa.RecordBatch,
        *,
        sequence: int | None,
        publication_id: str = "",
        expire: bool = True,
    ) -> int:
        """Write rows that are newer than the stored rows, into every compatible generation; see OnlineStore."""
        done, won = set[str](), 0
        self._states.note_written(view.name, publication_id)
        state = self.state(view.name)
        if sequence is None:  # with a publication no error is needed: the next load brings the rows online
            check_push(view, state)
        published = UNPUBLISHED if sequence is None else sequence
        # Repeated, since a load may begin to fill another generation meanwhile.
        while todo := [each for each in _all(state) if each.location not in done]:
            for generation in todo:
                done.add(generation.location)
                if not takes(generation, view) or generation.published_through >= published:
                    continue
                rows = Rows(
                    view=view, prefix=generation.location, sequence=published, mode=PUSH, flags=row_codec.PUSHED,
                    expiry=Expiry.of_view(view, expire=expire),
                )  # fmt: skip
                for part in rows.calls([batch]):
                    written = self._connection.run(partial(self._connection.run_script, script=WRITE, calls=part.calls))
                    won += written if generation.number == state.live_number else 0
            state = self.state(view.name)
        return won

    def sample_keys(self, view: FeatureView, count: int | None) -> list[Key]:
        """Up to `count` keys with a row in the live generation; see OnlineStore."""
        live = self.state(view.name).live
        if live is None or not view.join_keys:
            return []
        names = self._connection.run(partial(self._connection.names_under, prefix=live.location, count=count))
        keys = [row_codec.decode_key(key_of(name, live.location), len(view.join_keys)) for name in names]
        rows = self._connection.mget(names) if names else []
        return [key for key, row in zip(keys, rows, strict=True) if row is not None and not row_codec.is_gone(row)]

    def count(self, view: FeatureView, most: int) -> int | None:
        """The number of keys with a row in the live generation; see OnlineStore."""
        live = self.state(view.name).live
        if live is None:
            return 0
        names = self._connection.run(partial(self._connection.names_under, prefix=live.location, count=most + 1))
        if len(names) > most:
            return None
        rows = self._connection.mget(names) if names else []
        return sum(row is not None and not row_codec.is_gone(row) for row in rows)

    def rollback(self, name: str, to: int | None = None) -> Generation:
        """Make generation `to` live until unpinned; see OnlineStore."""
        state = self._change(name, lambda s: replace(s, live_number=s.after_rollback(name, to).number, pinned=True))
        assert state.live is not None, "after_rollback returned it"
        return state.live

    def unpin(self, name: str) -> Generation:
        """Make the newest generation live again; see OnlineStore."""
        state = self._change(name, lambda s: replace(s, live_number=s.after_unpin(name).number, pinned=False))
        assert state.newest is not None, "after_unpin returned it"
        return state.newest

    def remove(self, name: str) -> None:
        """Remove all rows and the state of a view; see OnlineStore."""
        state = self._change(
            name,  # listed as unfinished until their rows are removed, in case this process is killed
            lambda s: ViewState(filling=tuple(Filling(number=e.number, location=e.location) for e in _all(s))),
        )
        for each in state.filling:
            self._cleaning.abandon(name, each.location)
        self._states.remove(name)

    def _prepare(
        self,
        view: FeatureView,
        published_through: int,
        clock: datetime,
        *,
        new_generation: bool,
        window: bool,
        origin: Origin,
        expire: bool,
    ) -> Load | None:
        """The load and its target; None if the newest generation has a newer cursor. Raises OnlineStoreError."""
        newest = self.state(view.name).newest
        load = Load(
            number=0,
            location="",
            published_through=published_through,
            clock=clock,
            new_generation=True,
            before=newest,
            window=window,
            origin=origin,
            kept=kept(view, expire=expire),
        )
        if new_generation or (newest is None and origin.generation is None):
            self._cleaning.clean(view.name, make_room=True)
            return replace(load, location=prefix_of(self._connection.run(_next_prefix), tagged=self._connection.tagged))
        if newest is not None and not window and (published_through, clock) < (newest.published_through, newest.clock):
            return None
        if newest is None or origin.generation not in (None, newest.number):
            raise OnlineStoreError(f"{view}: another load went live during this load. Run this load again.")
        # Noted before the load's rows are mixed with rows of other publications.
        self._states.note_written(view.name, origin.published_id)
        return replace(load, number=newest.number, location=newest.location, new_generation=False)

    def _add_to_filling(self, view: FeatureView, load: Load, until: datetime | None) -> Load:
        """The load with its number. Its generation is in the state from now on, so that a later load can remove it."""
        if not load.new_generation:
            return load

        def listed(state: ViewState) -> ViewState:
            filling = Filling(
                number=max(numbers(state).values(), default=0) + 1,
                location=load.location,
                until=until,
                published_through=load.published_through,
                view_id=view.view_id,
                schema_hash=view.schema_hash,
            )
            return replace(state, filling=(*state.filling, filling))

        state = self._change(view.name, listed)
        return replace(load, number=numbers(state)[load.location])

    def _renew(self, view: FeatureView, load: Load, lasting: timedelta) -> None:
        """Extend the time until which the load counts as alive. Raises OnlineStoreError if it counted as dead."""
        if not load.new_generation:
            return

        def renewed(state: ViewState) -> ViewState:
            if all(each.location != load.location for each in state.filling):
                raise OnlineStoreError(
                    f"{view}: this load counted as dead, and its rows were removed. Run the load again."
                )
            until = datetime.now(UTC) + lasting
            return replace(
                state,
                filling=tuple(replace(e, until=until) if e.location == load.location else e for e in state.filling),
            )

        self._change(view.name, renewed)

    def _written(
        self, client: Any, view: FeatureView, load: Load, batches: Iterable[pa.RecordBatch], *, expire: bool
    ) -> ShardResult:
        rows = Rows(
            view=view, prefix=load.location, sequence=load.published_through, mode=BATCH,
            expiry=Expiry.of_view(view, expire=expire, lasting=not load.new_generation),
            tombstones=not load.new_generation,
        )  # fmt: skip
        sent, newest = write(lambda calls: self._connection.run_script(client, WRITE, calls), rows.calls(batches))
        return ShardResult(rows=sent, newest_event=newest)

    def _finish(self, view: FeatureView, load: Load, written: Sequence[ShardResult], check: Check | None) -> int:
        sent = sum(each.rows for each in written)
        newest_event = max((each.newest_event for each in written if each.newest_event), default=None)
        if load.new_generation:
            if not self._go_live(view, load, newest_event, check):
                return 0
            self._states.forget_written(view.name, load.origin.written)
            return sent

        self._change(view.name, lambda s: advanced(s, load, newest_event, now=datetime.now(UTC)))
        if not load.window:
            self._states.forget_written(view.name, load.origin.written)
        self._cleaning.clean(view.name)
        return sent

    def _go_live(self, view: FeatureView, load: Load, newest_event: datetime | None, check: Check | None) -> bool:
        """Make the new generation live. False if a concurrent load with a newer cursor went live first."""
        if check is not None:
            check(partial(self._read_generation, view, load.location))
        generation = filled(view, load, newest_event, now=datetime.now(UTC))
        after = self._change(
            view.name, lambda s: going_live(s, generation=generation, before=load.before, now=datetime.now(UTC))
        )
        if any(each.number == load.number for each in after.generations):
            return True
        self._cleaning.remove(load.location)
        return False

    def _abandon(self, view: FeatureView, load: Load) -> None:
        if load.new_generation:
            with suppress(FeatureStoreError):  # the next load cleans up
                self._cleaning.abandon(view.name, load.location)

    def _read_generation(self, view: FeatureView, prefix: str, keys: Sequence[Key]) -> OnlineRows:
        wanted = namer(prefix)(b"".join(map(row_codec.encode_part, key)) for key in keys)
        decode = row_codec.Decoder(shape(view.online_columns), view.schema_hash)
        return decode(self._connection.mget(wanted) if wanted else [])

    def _change(self, name: str, change: Change) -> ViewState:
        return self._states.change(name, change)


def _next_prefix(client: Any) -> int:
    """A new number for a prefix. The count begins at the clock [ms], so that it stays unique in an emptied Redis."""
    client.set(PREFIXES, (datetime.now(UTC) - _COUNTED_FROM) // timedelta(milliseconds=1), nx=True)
    return int(client.incr(PREFIXES))


def _all(state: ViewState) -> list[Generation | Filling]:
    """Every generation, complete or not."""
    return [*state.generations, *state.filling]
