"""An online store for Feast 0.67 that reads our rows: `online_store: {type: amora_fs_assets.feast.OnlineStore}`.

The only package that imports Feast; needs the extra `[feast]`.
"""

from amora_fs_assets.feast.online_store import OnlineStore, OnlineStoreConfig

__all__ = ["OnlineStore", "OnlineStoreConfig"]
