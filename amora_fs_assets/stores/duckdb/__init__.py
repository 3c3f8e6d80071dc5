"""DuckDB as the offline store."""

from amora_fs_assets.stores.duckdb.offline_store import DuckDBOfflineStore

__all__ = ["DuckDBOfflineStore"]
