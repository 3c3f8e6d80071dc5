"""Redis as the online store."""

from amora_fs_assets.stores.redis.online_store import RedisOnlineStore

__all__ = ["RedisOnlineStore"]
