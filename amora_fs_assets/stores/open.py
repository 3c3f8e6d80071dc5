"""Opens the stores that the settings name, by the table in `store_table`."""

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
    """The offline store. `client` is the client of its Dagster resource; without one it makes its own."""
    store: OfflineStore = _opened(OFFLINE_STORES[settings.offline_store], settings, client)
    return store


def open_online_store(settings: Settings) -> OnlineStore:
    """The online store. Connects when first used. Raises SettingsError for a URL that no store takes."""
    scheme = scheme_of(settings.online_store_url)
    if scheme not in ONLINE_STORES or (settings.online_store_url and not scheme):
        *others, last = [f"{each}://" for each in ONLINE_STORES if each]
        raise SettingsError(
            f"AMORA_FS_ONLINE_STORE_URL begins with {scheme}://; it takes {', '.join(others)} or {last}."
        )
    store: OnlineStore = _opened(ONLINE_STORES[scheme], settings)
    return store


def open_registry(
    settings: Settings,
    client: Any = None,
    *,
    commit: Callable[[], str] = str,
    listener: Callable[[RunRecord, str], None] | None = None,
) -> Registry:
    """The registry. Raises SettingsError for a URL that no registry takes.

    Args:
        settings: Name the registry.
        client: The client of its Dagster resource; without one it makes its own.
        commit: Gives the commit of the feature code, where the settings do not say the commit.
        listener: Called with every record that is kept and the name of its object.

    """
    from amora_fs_assets.stores.registry.object_registry import ObjectRegistry

    return ObjectRegistry(open_objects(settings, client), lambda: settings.commit or commit(), listener)


def open_objects(settings: Settings, client: Any = None) -> ObjectStore:
    """The objects of the registry; see `open_registry`."""
    scheme = scheme_of(settings.registry)
    if scheme not in REGISTRIES:
        takes = " or ".join(["a folder", *(f"{each}://bucket/prefix" for each in REGISTRIES if each)])
        raise SettingsError(f"AMORA_FS_REGISTRY takes {takes}; it begins with {scheme}://.")
    store: ObjectStore = _opened(REGISTRIES[scheme], settings, client)
    return store


def _opened(row: Implementation, settings: Settings, client: Any = None) -> Any:
    opener = row.load("opener")
    return opener(settings, client) if row.client else opener(settings)
