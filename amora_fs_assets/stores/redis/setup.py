"""Opens the online store in the settings."""

from __future__ import annotations

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore


def opened(settings: Settings) -> RedisOnlineStore:
    """The store at the settings' URL; without a URL the embedded server. Connects at the first use.

    Raises SettingsError for a project name that begins with '%', as keys of rows do.
    """
    if settings.project.startswith("%"):
        raise SettingsError(
            f"AMORA_FS_PROJECT is {settings.project!r}, but keys of rows begin with '%'. Remove the '%'."
        )
    url = settings.online_store_url
    if not url:
        return RedisOnlineStore(project=settings.project, server=EmbeddedServer(settings.home))
    return RedisOnlineStore(project=settings.project, url=url, ca=settings.online_store_ca)
