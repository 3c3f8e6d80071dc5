"""Opens the online store that the settings name."""

from __future__ import annotations

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.embedded.server import EmbeddedServer
from amora_fs_assets.stores.redis.online_store import RedisOnlineStore


def opened(settings: Settings) -> RedisOnlineStore:
    """The store at the URL of the settings; without a URL the embedded server. Connects when first used.

    Raises SettingsError for a project name that could begin the name of a row.
    """
    if settings.project.startswith("%"):
        raise SettingsError(f"AMORA_FS_PROJECT is {settings.project!r}: the names of rows begin with '%'. Drop it.")
    url = settings.online_store_url
    if not url:
        return RedisOnlineStore(project=settings.project, server=EmbeddedServer(settings.home))
    return RedisOnlineStore(project=settings.project, url=url, ca=settings.online_store_ca)
