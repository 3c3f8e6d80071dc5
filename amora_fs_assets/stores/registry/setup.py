"""Opens the objects of the registry in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.settings import Settings
from amora_fs_assets.stores.registry.folder import FolderObjectStore

if TYPE_CHECKING:
    from google.cloud.storage import Client

    from amora_fs_assets.stores.registry.gcs import GcsObjectStore


def folder(settings: Settings) -> FolderObjectStore:
    """Objects in a local folder."""
    return FolderObjectStore(Path(settings.registry))


def bucket(settings: Settings, client: Client | None = None) -> GcsObjectStore:
    """Objects in a bucket, with `client` if given. Raises SettingsError for a URL without a bucket."""
    parts = urlsplit(settings.registry)
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        raise SettingsError(
            f"AMORA_FS_REGISTRY begins with gs://{parts.hostname or ''}; give a folder or gs://bucket/prefix."
        )
    from amora_fs_assets.stores.google_clients import storage_client
    from amora_fs_assets.stores.registry.gcs import GcsObjectStore

    return GcsObjectStore(client or storage_client(settings), parts.netloc, parts.path)
