"""The product in a world: each call of a shared part is a step, and what was written is noted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from unittest import mock

import duckdb
import redis

from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.stores.duckdb import file as duckdb_file
from amora_fs_assets.stores.duckdb import offline_store as duckdb_store
from amora_fs_assets.stores.duckdb.publication import Publishing
from amora_fs_assets.stores.redis import connection as redis_connection
from amora_fs_assets.stores.redis import writing as redis_writing
from amora_fs_assets_tests.protocol.scheduler import current, step
from amora_fs_assets_tests.protocol.world import WORLDS, World


class _Watched(Publishing):
    """Says what was published."""

    world: World

    def publish(self) -> Publication:
        rows = self._connection.execute(f"FROM {self._staged}").to_arrow_table().to_pylist()
        publication = super().publish()
        self.world.note_published(publication, rows, self._draft)
        return publication


class _Redis(redis.Redis):
    """Each command is a step."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        command = str(args[0])
        if command in ("PING", "SCRIPT LOAD"):
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        step(f"redis {command}")
        found = super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        if command == "EVALSHA" and current() is not None:
            for world in WORLDS.values():
                world.note_state()
        return found


class _Inline:
    """In the place of a thread that sends rows: the operation's own."""

    def __init__(self, workers: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, call: Callable[..., Any], *args: Any) -> Any:
        value = call(*args)
        return mock.Mock(result=lambda: value)


@contextmanager
def stepped() -> Iterator[None]:
    """Let the product's parts be those of the worlds."""

    @contextmanager
    def opened(home: Path, *, write: bool, timeout: float) -> Iterator[duckdb.DuckDBPyConnection]:
        if home not in WORLDS:
            with duckdb_file.opened(home, write=write, timeout=timeout) as connection:
                yield connection
            return
        with WORLDS[home].opened(write=write) as connection:
            yield connection

    def publishing(connection: Any, staged: str, draft: Draft, dataset: str) -> Publishing:
        watched = _Watched(connection, staged, draft, dataset)
        watched.world = next(iter(WORLDS.values()))
        return watched

    write_applied = duckdb_store.DuckDBOfflineStore.write_applied

    def watched_write(self: Any, rows: Any) -> None:
        write_applied(self, rows)
        WORLDS[self._home].note_applied(rows)

    mget = redis_connection.Connection.mget

    def watched_mget(self: Any, keys: Any, until: Any = None) -> Any:
        step("redis MGET")
        return mget(self, keys, until)

    texts: dict[Any, str] = {}
    to_sql = duckdb_store.DuckDBOfflineStore.sql

    def remembered(self: Any, query: Any) -> str:
        key = query.op()
        if key not in texts:
            texts[key] = to_sql(self, query)
        return texts[key]

    patches: list[Any] = [
        mock.patch.object(duckdb_store.DuckDBOfflineStore, "sql", remembered),
        mock.patch.object(duckdb_store, "opened", opened),
        mock.patch.object(duckdb_store, "Publishing", publishing),
        mock.patch.object(duckdb_store.DuckDBOfflineStore, "write_applied", watched_write),
        mock.patch.object(redis_connection.Connection, "mget", watched_mget),
        mock.patch.object(redis, "Redis", _Redis),
        mock.patch.object(redis_writing, "ThreadPoolExecutor", _Inline),
    ]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
