"""The stores as Dagster resources. On Google Cloud their clients are those of dagster-gcp's resources."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.online import OnlineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.orchestration.pages import settings_words
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES, REGISTRIES, scheme_of
from amora_fs_assets.stores.open import open_offline_store, open_online_store, open_registry

STORES = "feature_store"
"""Key of the resource that every asset requires."""


@dataclass
class Stores:
    """What assets and the IO manager work with."""

    settings: Settings
    code: Catalogue
    offline: OfflineStore
    registry: Registry
    own_online: OnlineStore | None = None

    @cached_property
    def online(self) -> OnlineStore:
        """Connected, and where embedded started, when first needed."""
        return self.own_online or open_online_store(self.settings)

    @cached_property
    def applied(self) -> Catalogue:
        """The registry's catalogue as this run found it."""
        return self.registry.catalogue()


def stores_of(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Stores:
    """What the step works with."""
    stores = getattr(context.resources, STORES)
    assert isinstance(stores, Stores), "the resource gives the parts"
    return stores


def clients_needed(settings: Settings) -> set[str]:
    """The Dagster resources whose clients the stores of the settings use."""
    registry = REGISTRIES.get(scheme_of(settings.registry))
    rows = [OFFLINE_STORES[settings.offline_store], *([registry] if registry else [])]
    return {row.client for row in rows if row.client}


def google_resources(settings: Settings, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`bigquery`, `gcs` and, where one load has many steps, `io_manager`, as far as the settings need them.

    Importing dagster-gcp takes more than a second.

    A team's own, in `overrides`, take their place.
    """
    needed = clients_needed(settings)
    if not needed:
        return {}
    from amora_fs_assets.orchestration.google_resources import bigquery_resource, gcs_resource, step_outputs

    resources: dict[str, Any] = {}
    if "bigquery" in needed:
        resources["bigquery"] = overrides.get("bigquery") or bigquery_resource(settings)
    if "gcs" in needed:
        resources["gcs"] = overrides.get("gcs") or gcs_resource(settings)
        if settings.online_shards > 1:
            resources["io_manager"] = overrides.get("io_manager") or step_outputs(settings, resources["gcs"])
    return resources


def parts_resource(
    settings: Settings,
    code: Catalogue,
    overrides: Mapping[str, Any],
    google: Mapping[str, Any],
    commit: Callable[[], str],
) -> dg.ResourceDefinition:
    """The resource that holds the stores; `overrides` replace `offline`, `online` and `registry`.

    `commit` is asked for that of the code.
    """

    @dg.resource(
        required_resource_keys={"bigquery", "gcs"}.intersection(google),
        description=f"Offline store, online store, registry.\n\n{settings_words(settings)}",
    )
    @contextmanager
    def feature_store(context: dg.InitResourceContext) -> Iterator[Stores]:
        with ExitStack() as stack:
            # The resources themselves: as attributes Dagster hands out what they open.
            own: Mapping[str, Any] = context.resources.original_resource_dict
            bigquery, gcs = None, None
            if "bigquery" in google and "offline" not in overrides:
                bigquery = stack.enter_context(own["bigquery"].get_client())
            if "gcs" in google and "registry" not in overrides:
                gcs = own["gcs"].get_client()
            stores = Stores(
                settings=settings,
                code=code,
                offline=overrides.get("offline") or open_offline_store(settings, bigquery),
                registry=overrides.get("registry") or open_registry(settings, gcs, commit=commit),
                own_online=overrides.get("online"),
            )
            yield stores
            if stores.own_online is None and "online" in vars(stores):
                stores.online.close()

    return feature_store
