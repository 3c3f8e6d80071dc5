"""Opens the offline store in the settings' home."""

from __future__ import annotations

from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore


def opened(settings: Settings) -> DuckDBOfflineStore:
    """The offline store in the file `<home>/offline.duckdb`."""
    return DuckDBOfflineStore(settings.home, dataset=settings.dataset, lock_timeout=settings.lock_timeout)
