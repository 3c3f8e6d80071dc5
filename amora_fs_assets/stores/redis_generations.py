"""Generations of a view in Redis: filling, going live, pushing, rolling back, cleaning up.

Everything that is known of a view stands in one string, changed by compare-and-swap (WATCH). A row only ever lies under
the prefix of its generation. So a process that dies at any point leaves either the state before or the state after;
what it had written of a generation that is not complete is listed under `filling`, and the next load removes it.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
import redis

from amora_fs_assets.domain.errors import FeatureStoreError, OnlineStoreError
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import NEVER, Filling, Generation, Key, OnlineRows, ViewState
from amora_fs_assets.stores import row_codec
from amora_fs_assets.stores.redis_connection import Connection
from amora_fs_assets.stores.redis_scripts import BATCH, PUSH, WRITE

if TYPE_CHECKING:
    import pyarrow as pa

RETIRED_FOR = timedelta(seconds=60)
"""For how long a generation that is not live any more is kept at least: until every reader has moved on."""
_DAY = 86_400_000  # milliseconds
_BATCH = 1_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PREFIXES = "amora_fs:prefixes"
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class _Expiry:
    """When Redis may collect a row: a day after event_timestamp + ttl. Statuses do not depend on it."""

    ttl: int | None  # milliseconds, with the day; None: never

    def of(self, times: Sequence[int]) -> list[int]:
        """Milliseconds since 1970 for each time [us]; 0: never."""
        ttl, soon = self.ttl, int(time.time() * 1000) + _DAY
        if ttl is None:
            return [soon if time == NEVER else 0 for time in times]
        return [soon if time == NEVER else max(1, time // 1000 + ttl) for time in times]


class RedisGenerations:
    """The writing half of the online store."""

    def __init__(self, connection: Connection, project: str) -> None:
        self._connection = connection
        self._project = project

    def state(self, name: str) -> ViewState:
        """All generations of the view of that name, and which one readers see."""
        return _read(self._connection.run(lambda client: client.get(self._state_key(name))))

    def generation(self, view: FeatureView) -> Generation | None:
        """The generation that loads go on with; None where the view was never loaded."""
        return self.state(view.name).newest

    def load(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        *,
        cursor: int,
        clock: datetime,
        new_generation: bool,
        expire: bool = True,
        check: Callable[[Callable[[Sequence[Key]], OnlineRows]], None] | None = None,
    ) -> int:
        """Write rows and return how many were sent; see OnlineStore."""
        expiry = _expiry(view, expire=expire)
        before = self.state(view.name)
        if new_generation or before.newest is None:
            return self._fill(view, batches, before, cursor, clock, expiry, check)
        newest = before.newest
        if (cursor, clock) < (newest.cursor, newest.clock):
            return 0
        with self._connection.named(f"{self._project}:load:{uuid.uuid4().hex}") as client:
            sent, newest_event = _write(client, view, batches, newest.prefix, cursor, expiry, tombstones=True)

        def advance(state: ViewState) -> ViewState:
            now = state.newest
            if now is None or now.number != newest.number or (cursor, clock) < (now.cursor, now.clock):
                return state
            moved = replace(
                now, cursor=cursor, clock=clock, loaded_at=datetime.now(UTC),
                newest_event=max(filter(None, (now.newest_event, newest_event)), default=None),
            )  # fmt: skip
            return replace(state, generations=(*state.generations[:-1], moved))

        self._change(view.name, advance)
        self._clean(view.name)
        return sent

    def push(self, view: FeatureView, batch: pa.RecordBatch, *, sequence: int | None, expire: bool = True) -> int:
        """Write rows that are newer than what is there, in every generation; see OnlineStore."""
        expiry = _expiry(view, expire=expire)
        written, done = 0, set[str]()
        state = self.state(view.name)
        if state.seen is None:
            raise OnlineStoreError(f"{view} was never loaded. Run `amora-fs materialize-incremental` first.")
        _same_columns(view, state.seen)
        published = row_codec.NEVER_PUBLISHED if sequence is None else sequence
        # A generation that somebody begins to fill meanwhile gets the rows too.
        while todo := {prefix: number for prefix, number in _numbers(state).items() if prefix not in done}:
            for prefix, which in todo.items():
                for chunk in _chunks(view, [batch], published, prefix, expiry, flags=row_codec.PUSHED):
                    won = self._connection.run(partial(_run_script, chunk=chunk, mode=PUSH))
                    written += won if which == state.live else 0
                done.add(prefix)
            state = self.state(view.name)
        return written

    def rollback(self, name: str, to: int | None = None) -> Generation:
        """Let readers see generation `to`, the one before theirs by default, until unpinned."""
        state = self._change(name, lambda s: replace(s, live=s.after_rollback(name, to).number, pinned=True))
        assert state.seen is not None, "it was there"
        return state.seen

    def unpin(self, name: str) -> Generation:
        """Let readers see the newest generation again."""
        state = self._change(name, lambda s: replace(s, live=s.after_unpin(name).number, pinned=False))
        assert state.newest is not None, "it was there"
        return state.newest

    def _fill(
        self,
        view: FeatureView,
        batches: Iterable[pa.RecordBatch],
        before: ViewState,
        cursor: int,
        clock: datetime,
        expiry: _Expiry,
        check: Callable[[Callable[[Sequence[Key]], OnlineRows]], None] | None,
    ) -> int:
        self._clean(view.name, make_room=True)
        prefix = f"f{_base36(self._connection.run(lambda client: int(client.incr(_PREFIXES))))}:"
        with self._connection.named(self._filler(prefix)) as client:
            number = self._begin(view.name, prefix)
            try:
                sent, newest_event = _write(client, view, batches, prefix, cursor, expiry, tombstones=False)
                if check is not None:
                    check(partial(self._read_unseen, view, prefix))
                generation = Generation(
                    number=number,
                    schema_hash=view.schema_hash,
                    keys=tuple((c.name, c.type.value) for c in view.key_columns),
                    features=tuple((c.name, c.type.value) for c in view.features),
                    cursor=cursor,
                    clock=clock,
                    loaded_at=datetime.now(UTC),
                    prefix=prefix,
                    newest_event=newest_event,
                )
                after = self._change(view.name, partial(_going_live, generation=generation, before=before.newest))
            except BaseException:
                with suppress(FeatureStoreError):  # the next load cleans up
                    self._give_up(view.name, prefix)
                raise
        if not any(each.number == number for each in after.generations):  # somebody who knew more was quicker
            self._remove(prefix)
            return 0
        return sent

    def _begin(self, name: str, prefix: str) -> int:
        def begin(state: ViewState) -> ViewState:
            number = max(_numbers(state).values(), default=0) + 1
            return replace(state, filling=(*state.filling, Filling(number=number, prefix=prefix)))

        return next(each.number for each in self._change(name, begin).filling if each.prefix == prefix)

    def _give_up(self, name: str, prefix: str) -> None:
        """Remove an unfinished generation: its rows first, so that they are never forgotten."""
        self._remove(prefix)
        self._change(name, lambda s: replace(s, filling=tuple(each for each in s.filling if each.prefix != prefix)))

    def _clean(self, name: str, *, make_room: bool = False) -> None:
        """Remove what killed loads left behind, and generations that nobody reads or may go back to.

        The newest that readers have left stays for a rollback, until the next one is filled (`make_room`).
        """
        state = self.state(name)
        for each in state.filling:
            if not self._lives(each.prefix):
                self._give_up(name, each.prefix)
        kept = {state.live, *(each.number for each in state.generations[-1:])}
        if not make_room:
            kept.update(each.number for each in state.generations[-2:])
        due = datetime.now(UTC) - RETIRED_FOR
        gone = {
            each.number: each.prefix
            for each in state.generations
            if each.number not in kept and each.retired_at is not None and each.retired_at <= due
        }
        if gone:  # listed as unfinished until their rows are gone, so that a killed process leaves nothing behind
            self._change(
                name,
                lambda s: replace(
                    s,
                    generations=tuple(g for g in s.generations if g.number not in gone),
                    filling=(*s.filling, *(Filling(number=n, prefix=p) for n, p in gone.items())),
                ),
            )
            for prefix in gone.values():
                self._give_up(name, prefix)

    def _lives(self, prefix: str) -> bool:
        """Whether the process that fills the generation is still connected."""
        clients = self._connection.run(lambda client: client.client_list())
        return any(each.get("name") == self._filler(prefix) for each in clients)

    def _filler(self, prefix: str) -> str:
        return f"{self._project}:fill:{prefix}"

    def _read_unseen(self, view: FeatureView, prefix: str, keys: Sequence[Key]) -> OnlineRows:
        wanted = [prefix.encode() + b"".join(map(row_codec.encode_part, key)) for key in keys]
        decode = row_codec.Decoder([(c.name, c.type.value) for c in view.features], view.schema_hash)
        return decode(self._connection.mget(wanted) if wanted else [])

    def _remove(self, prefix: str) -> None:
        def remove(client: redis.Redis) -> None:
            for keys in _sliced(client.scan_iter(match=f"{prefix}*", count=5_000), 5_000):
                client.unlink(*keys)

        self._connection.run(remove)

    def _change(self, name: str, change: Callable[[ViewState], ViewState]) -> ViewState:
        """The state after `change`, which nobody else changed meanwhile."""
        key = self._state_key(name)

        def run(client: redis.Redis) -> ViewState:
            pipeline: Any
            with client.pipeline() as pipeline:
                while True:
                    pipeline.watch(key)
                    before = _read(pipeline.get(key))
                    after = change(before)
                    if after == before:
                        return after
                    pipeline.multi()
                    pipeline.set(key, msgspec.json.encode(after))
                    try:
                        pipeline.execute()
                    except redis.WatchError:
                        continue
                    return after

        return self._connection.run(run)

    def _state_key(self, name: str) -> str:
        return f"{self._project}:{name}"


def _going_live(state: ViewState, *, generation: Generation, before: Generation | None) -> ViewState:
    left = tuple(each for each in state.filling if each.prefix != generation.prefix)
    if left == state.filling:
        raise OnlineStoreError("This load was taken for dead and its rows were removed. Run it again.")
    newest = state.newest
    if (
        newest is not None
        and newest != before  # a load that went on beside this one
        and newest.schema_hash == generation.schema_hash
        and (generation.cursor, generation.clock) < (newest.cursor, newest.clock)
    ):
        return replace(state, filling=left)
    now = datetime.now(UTC)
    live = state.live if state.pinned else generation.number
    retired = tuple(
        replace(each, retired_at=each.retired_at or now) if each.number != live else each for each in state.generations
    )
    return replace(state, live=live, filling=left, generations=(*retired, generation))


def _numbers(state: ViewState) -> dict[str, int]:
    """Prefix and number of every generation, complete or not."""
    return {each.prefix: each.number for each in state.generations} | {e.prefix: e.number for e in state.filling}


def _read(data: Any) -> ViewState:
    return ViewState() if data is None else msgspec.json.decode(data, type=ViewState)


def _expiry(view: FeatureView, *, expire: bool) -> _Expiry:
    return _Expiry(None if view.ttl is None or not expire else int(view.ttl.total_seconds() * 1000) + _DAY)


def _same_columns(view: FeatureView, generation: Generation) -> None:
    if generation.schema_hash != view.schema_hash:
        raise OnlineStoreError(
            f"{view}: what is online has other columns than the registry. Run `amora-fs materialize-incremental`."
        )


@dataclass(frozen=True)
class _Chunk:
    keys: list[bytes]
    rows: list[bytes]
    expiries: list[int]
    newest: int  # event_timestamp [us]


def _chunks(
    view: FeatureView,
    batches: Iterable[pa.RecordBatch],
    sequence: int,
    prefix: str,
    expiry: _Expiry,
    *,
    flags: int = 0,
    tombstones: bool = True,
) -> Iterator[_Chunk]:
    start = prefix.encode()
    for batch in batches:
        for encoded in row_codec.encode(view, batch, sequence, flags):
            keys, rows, times = [start + key for key in encoded.keys], encoded.rows, encoded.times
            if not tombstones and NEVER in times:
                kept = [place for place, moment in enumerate(times) if moment != NEVER]
                keys, rows, times = ([column[place] for place in kept] for column in (keys, rows, times))  # type: ignore[assignment]
            expiries = expiry.of(times)
            for i in range(0, len(keys), _BATCH):
                yield _Chunk(
                    keys[i : i + _BATCH], rows[i : i + _BATCH], expiries[i : i + _BATCH], max(times[i : i + _BATCH])
                )


def _write(
    client: redis.Redis,
    view: FeatureView,
    batches: Iterable[pa.RecordBatch],
    prefix: str,
    sequence: int,
    expiry: _Expiry,
    *,
    tombstones: bool,
) -> tuple[int, datetime | None]:
    """Send the rows; while Redis works on one chunk, the next is made. Memory holds two of them.

    Gives their number, and the greatest event_timestamp.
    """
    sent, newest = 0, NEVER
    with ThreadPoolExecutor(1) as sender:
        sending: Future[int] | None = None
        for chunk in _chunks(view, batches, sequence, prefix, expiry, tombstones=tombstones):
            if sending is not None:
                sending.result()
            sending = sender.submit(_run_script, client, chunk=chunk, mode=BATCH)
            sent += len(chunk.keys)
            newest = max(newest, chunk.newest)
        if sending is not None:
            sending.result()
    return sent, None if newest == NEVER else _EPOCH + timedelta(microseconds=newest)


def _run_script(client: redis.Redis, *, chunk: _Chunk, mode: bytes) -> int:
    script = client.register_script(WRITE)
    return int(script(keys=chunk.keys, args=[mode, *chunk.rows, *chunk.expiries]))


def _sliced(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits
