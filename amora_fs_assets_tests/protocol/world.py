"""The shared parts, each call of which is a step: DuckDB, a real Redis, the registry's objects. Copied back cheaply."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import redis

from amora_fs_assets import FeatureStore, Settings
from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.identity.definition import applied_of
from amora_fs_assets.domain.ports.offline import Draft
from amora_fs_assets.domain.ports.registry import StoredObject
from amora_fs_assets.domain.protocol import Applied
from amora_fs_assets.domain.records import Publication
from amora_fs_assets.stores.duckdb import file as duckdb_file
from amora_fs_assets.stores.duckdb.tables import quoted
from amora_fs_assets.stores.redis.keys import state_name
from amora_fs_assets.stores.redis.state import decoded
from amora_fs_assets.stores.registry.object_registry import ObjectRegistry
from amora_fs_assets_tests.protocol.definitions import CLOCK, PROJECTS, VIEW, source_rows
from amora_fs_assets_tests.protocol.scheduler import current, step

PROJECT = "checked"
DATASET = "feature_store"
WORLDS: dict[Path, World] = {}  # by home; one at a time
_PLAIN = redis.Redis  # before the steps take its place


@dataclass(frozen=True)
class Published:
    """A publication of the view, as it was committed."""

    sequence: int
    rows: tuple[dict[str, Any], ...]  # that were staged
    draft: Draft
    by: str  # the operation's name


@dataclass
class Events:
    """What happened, in order, as seen from outside."""

    published: list[Published] = field(default_factory=list)
    applied: dict[str, Applied] = field(default_factory=dict)  # what `_applied` has to say by now
    unlawful: list[str] = field(default_factory=list)  # publications that the page refuses
    online_only: list[dict[str, Any]] = field(default_factory=list)  # pushed with to_offline=False, or tried to
    went_live: list[int] = field(default_factory=list)  # generations, by number
    made_anew_at: int = 0  # so many publications came before the table was dropped
    lost: set[str] = field(default_factory=set)  # names of operations whose publications a restored backup lacks

    def copy(self) -> Events:
        return Events(
            list(self.published), dict(self.applied), list(self.unlawful), list(self.online_only),
            list(self.went_live), self.made_anew_at, set(self.lost),
        )  # fmt: skip


@dataclass(frozen=True)
class State:
    """Everything that lasts, copied."""

    tables: tuple[tuple[str, str, str | None, pa.Table], ...]
    objects: dict[str, StoredObject]
    dumps: dict[bytes, tuple[Any, int]]  # of Redis: each key's value and expiry [ms since 1970; negative: none]
    events: Events
    version: int


class Objects:
    """The registry's objects, in memory."""

    url = "memory://registry"

    def __init__(self) -> None:
        self.objects: dict[str, StoredObject] = {}
        self._count = 0

    def read(self, name: str) -> StoredObject | None:
        step(f"registry read {name}")
        return self.objects.get(name)

    def create(self, name: str, data: bytes) -> bool:
        return self.replace(name, data, generation=None)

    def replace(self, name: str, data: bytes, *, generation: str | None) -> bool:
        step(f"registry write {name}")
        there = self.objects.get(name)
        if (there.generation if there else None) != generation:
            return False
        self._count += 1
        self.objects[name] = StoredObject(data, str(self._count))
        return True

    def names(self, prefix: str) -> Iterator[str]:
        step(f"registry list {prefix}")
        return iter(sorted(name for name in self.objects if name.startswith(prefix)))


class World:
    """One dataset, one Redis, one registry."""

    def __init__(self, home: Path, url: str, *, files: bool = False) -> None:
        self.home, self.files = home, files
        self.objects = Objects()
        self.redis = _PLAIN.from_url(url)
        self.events = Events()
        self.version = 0  # of the source
        self.backup: State | None = None
        self.latest: State | None = None  # a backup in which the publication is that was loaded last
        self._url = url
        self._lock = threading.RLock()
        self._memory = None if files else duckdb.connect(":memory:")
        self._fresh: list[FeatureStore] = []
        if self._memory is not None:
            self._memory.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_progress_bar = false; SET threads = 1")
        WORLDS[home] = self

    def close(self) -> None:
        self.close_processes()
        self.redis.close()
        del WORLDS[self.home]

    def process(self, project: str = "plain") -> FeatureStore:
        """A process with that code, which knows nothing yet."""
        settings = Settings(home=self.home, now=CLOCK, project=PROJECT, online_store_url=self._url)
        store = FeatureStore(settings, definitions=PROJECTS[project])
        store.registry = ObjectRegistry(self.objects)
        self._fresh.append(store)
        return store

    def close_processes(self) -> None:
        for each in self._fresh:
            each.close()
        self._fresh.clear()

    @contextmanager
    def cursor(self, *, write: bool = True) -> Iterator[duckdb.DuckDBPyConnection]:
        """The offline store, without a step."""
        if self._memory is None:
            with duckdb_file.opened(self.home, write=write, timeout=20) as connection:
                yield connection
            return
        with self._memory.cursor() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    @contextmanager
    def opened(self, *, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        """The offline store for a transaction of an operation."""
        step(f"offline {'write' if write else 'read'}")
        operation = current()
        with self.cursor(write=write) as connection:
            if operation is not None and self.files:
                operation.hold(1)
            try:
                yield connection
            finally:
                if operation is not None and self.files:
                    operation.hold(-1)

    def put_source(self, version: int) -> None:
        """The source is corrected by somebody."""
        step("source write")
        with self.cursor() as connection:
            connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
            connection.register("given", source_rows(version))
            connection.execute("CREATE OR REPLACE TABLE raw.orders AS FROM given")
        self.version = version

    def rows(self) -> list[dict[str, Any]]:
        """The view's table, whatever it holds; none where there is no table."""
        with self.cursor(write=False) as connection:
            try:
                found: list[dict[str, Any]] = connection.execute(f"FROM {DATASET}.{VIEW}").to_arrow_table().to_pylist()
            except duckdb.CatalogException:
                return []
        return found

    def save(self) -> State:
        tables = []
        with self.cursor() as connection:
            for schema, name, comment in connection.execute(
                "SELECT schema_name, table_name, comment FROM duckdb_tables()"
            ).fetchall():
                tables.append((schema, name, comment, connection.execute(f"FROM {quoted(f'{schema}.{name}')}")
                               .to_arrow_table()))  # fmt: skip
        dumps: dict[bytes, tuple[Any, int]] = {}
        for key in list(self.redis.scan_iter()):
            dumps[key] = (self.redis.dump(key), self.redis.pexpiretime(key))
        return State(tuple(tables), dict(self.objects.objects), dumps, self.events.copy(), self.version)

    def empty(self) -> None:
        """Nothing is there."""
        self.restore(State((), {}, {}, Events(), 0))

    def restore(self, state: State) -> None:
        self.close_processes()
        self.restore_offline(state)
        self.objects.objects = dict(state.objects)
        pipeline = self.redis.pipeline(transaction=False)
        pipeline.flushall()
        for key, (value, expiry) in state.dumps.items():
            pipeline.restore(key, max(expiry, 0), value, absttl=True)
        pipeline.execute()
        self.events = state.events.copy()
        self.version = state.version

    def restore_offline(self, state: State) -> None:
        """Put a backup of the offline store in its place."""
        with self.cursor() as connection:
            for schema, name in connection.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                connection.execute(f"DROP TABLE {quoted(f'{schema}.{name}')}")
            for schema, name, comment, rows in state.tables:
                connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
                connection.register("given", rows)
                connection.execute(f"CREATE TABLE {quoted(f'{schema}.{name}')} AS FROM given")
                if comment is not None:
                    connection.execute(f"COMMENT ON TABLE {quoted(f'{schema}.{name}')} IS '{comment}'")

    def restore_backup(self, backup: State | None = None) -> None:
        """The offline store as it was at the time of the backup; what was published since is unheard of."""
        backup = backup or self.backup
        assert backup is not None, "it was made"
        self.restore_offline(backup)
        events = backup.events.copy()
        self.events.lost |= {each.by for each in self.events.published[len(events.published) :]}
        self.events.published, self.events.applied = events.published, events.applied
        self.events.made_anew_at = events.made_anew_at

    def drop_table(self) -> None:
        """Somebody drops the view's table."""
        with self.cursor() as connection:
            connection.execute(f"DROP TABLE IF EXISTS {DATASET}.{VIEW}")
        self.events.made_anew_at = len(self.events.published)

    def note_published(self, publication: Publication, rows: list[dict[str, Any]], draft: Draft) -> None:
        if draft.name != VIEW:
            return
        operation, events = current(), self.events
        wanted, there = draft.applied, events.applied.get(VIEW)
        if wanted is None:
            events.unlawful.append(f"publication {publication.sequence} says no definition")
        else:
            if (
                there is not None
                and there.applied_number >= wanted.applied_number
                and ((there.view_id, there.identity) != (wanted.view_id, wanted.identity))
            ):
                events.unlawful.append(f"publication {publication.sequence} is of a definition that does not count")
            if there is None or there.applied_number < wanted.applied_number:
                events.applied[VIEW] = wanted
        events.published.append(
            Published(publication.sequence, tuple(rows), draft, operation.name if operation else "")
        )

    def note_head(self, catalogue: Catalogue) -> None:
        """An apply has succeeded: from now on nothing else may publish."""
        there = self.events.applied.get(VIEW)
        if there is not None and there.applied_number > catalogue.number:
            return
        if VIEW in catalogue.feature_views:
            self.events.applied[VIEW] = applied_of(catalogue, VIEW)
        elif there is not None:
            self.events.applied[VIEW] = replace(there, identity="", applied_number=catalogue.number)

    def note_applied(self, rows: Any) -> None:
        self.events.applied |= {row.view: row for row in rows}

    def note_state(self) -> None:
        """Look which generation is live."""
        state = decoded(self.redis.get(state_name(PROJECT, VIEW)))
        newest = state.newest
        if newest is not None and newest.number not in self.events.went_live:
            self.events.went_live.append(newest.number)
