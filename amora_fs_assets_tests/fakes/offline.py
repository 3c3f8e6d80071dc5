"""An offline engine: DuckDB in the memory of this process, which has no ASOF joins. It keeps no file and no lock."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import duckdb

from amora_fs_assets import Settings
from amora_fs_assets.domain.errors import OfflineStoreError, TableNotFound
from amora_fs_assets.stores.duckdb.dialect import DUCKDB
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore

_databases: dict[Path, tuple[duckdb.DuckDBPyConnection, threading.RLock]] = {}
"""The database of each home, and the lock that its writers hold."""


class MemoryOfflineStore(DuckDBOfflineStore):
    """OfflineStore in a database that all stores of one home share. Each operation has a cursor of its own."""

    dialect = replace(DUCKDB, has_asof_join=False)

    @contextmanager
    def _open(self, *, write: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        if self._home not in _databases:
            _databases[self._home] = (duckdb.connect(":memory:"), threading.RLock())
        database, writers = _databases[self._home]
        with writers if write else nullcontext(), database.cursor() as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            try:
                yield cursor
            except duckdb.CatalogException as error:
                raise (TableNotFound if "does not exist" in str(error) else OfflineStoreError)(str(error)) from error
            except duckdb.Error as error:
                raise OfflineStoreError(str(error)) from error


def opened(settings: Settings) -> MemoryOfflineStore:
    """The store of the settings' home and dataset."""
    return MemoryOfflineStore(settings.home, dataset=settings.dataset)


def forget(home: Path) -> None:
    """Give the memory of a home's tables back."""
    database, _ = _databases.pop(home.absolute(), (None, None))
    if database is not None:
        database.close()
