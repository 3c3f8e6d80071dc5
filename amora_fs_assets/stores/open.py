"""Opens the stores in the settings, by the table in `store_table`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amora_fs_assets.domain.errors import SettingsError
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.ports.registry import ObjectStore, Registry
from amora_fs_assets.domain.records import RunRecord
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES, ONLINE_STORES, REGISTRIES, Implementation, scheme_of


def open_offline_store(settings: Settings, client: Any = None) -> OfflineStore:
    """The offline store. `client` is the client of its Dagster resource; without one the store makes its own."""
    store: OfflineStore = _opened(OFFLINE_STORES[settings.offline_store], settings, client)
    return store


def open_online_store(settings: Settings) -> OnlineStore:
    """The online store. Connects at the first use. Raises SettingsError for an unsupported URL."""
    scheme = scheme_of(settings.online_store_url)
    if scheme not in ONLINE_STORES or (settings.online_store_url and not scheme):
        *others, last = [f"{each}://" for each in ONLINE_STORES if each]
        raise SettingsError(f"AMORA_FS_ONLINE_STORE_URL begins with {scheme}://; give {', '.join(others)} or {last}.")
    store: OnlineStore = _opened(ONLINE_STORES[scheme], settings)
    return store


def open_registry(
    settings: Settings,
    client: Any = None,
    *,
    commit: Callable[[], str] = str,
    listener: Callable[[RunRecord, str], None] | None = None,
) -> Registry:
    """The registry. Raises SettingsError for an unsupported URL.

    Args:
        settings: The settings with the registry's location.
        client: The client of its Dagster resource; without one the registry makes its own.
        commit: Returns the commit of the feature code, if the settings do not have it.
        listener: Called with every stored record and the name of its object.

    """
    from amora_fs_assets.stores.registry.object_registry import ObjectRegistry

    return ObjectRegistry(open_objects(settings, client), lambda: settings.commit or commit(), listener)


def open_objects(settings: Settings, client: Any = None) -> ObjectStore:
    """The objects of the registry; see `open_registry`."""
    scheme = scheme_of(settings.registry)
    if scheme not in REGISTRIES:
        takes = " or ".join(["a folder", *(f"{each}://bucket/prefix" for each in REGISTRIES if each)])
        raise SettingsError(f"AMORA_FS_REGISTRY begins with {scheme}://; give {takes}.")
    store: ObjectStore = _opened(REGISTRIES[scheme], settings, client)
    return store


def _opened(row: Implementation, settings: Settings, client: Any = None) -> Any:
    opener = row.load("opener")
    return opener(settings, client) if row.client else opener(settings)
