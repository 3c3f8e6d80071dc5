"""The stores as Dagster resources. On Google Cloud the stores use the clients of dagster-gcp's resources."""

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
from amora_fs_assets.orchestration.names import Names
from amora_fs_assets.orchestration.pages import settings_words
from amora_fs_assets.settings import Settings
from amora_fs_assets.store_table import OFFLINE_STORES, REGISTRIES, scheme_of
from amora_fs_assets.stores.open import open_offline_store, open_online_store, open_registry


@dataclass
class Stores:
    """The settings, catalogue and stores for assets and the IO manager."""

    settings: Settings
    code: Catalogue
    names: Names
    offline: OfflineStore
    registry: Registry
    own_online: OnlineStore | None = None

    @cached_property
    def online(self) -> OnlineStore:
        """The online store; connected, and started if embedded, at the first use."""
        return self.own_online or open_online_store(self.settings)

    @cached_property
    def applied(self) -> Catalogue:
        """The registry's catalogue, read once per run."""
        return self.registry.catalogue()


def stores_of(resources: Any, names: Names) -> Stores:
    """The stores of a context's resources."""
    stores = getattr(resources, names.store)
    assert isinstance(stores, Stores), "the resource yields Stores"
    return stores


def clients_needed(settings: Settings) -> set[str]:
    """The keys of the Dagster resources whose clients the settings' stores use."""
    registry = REGISTRIES.get(scheme_of(settings.registry))
    rows = [OFFLINE_STORES[settings.offline_store], *([registry] if registry else [])]
    return {row.client for row in rows if row.client}


def google_resources(settings: Settings, overrides: Mapping[str, Any], names: Names) -> dict[str, Any]:
    """The resources for Google's clients and, if a load has several steps, the one for the steps' outputs.

    Only the resources that the settings need: importing dagster-gcp takes more than a second. `overrides` replace
    them: with a resource, or with the key of a resource of the host project.
    """
    needed = clients_needed(settings)
    if not needed:
        return {}
    from amora_fs_assets.orchestration import google_resources as google

    made = {"bigquery": google.bigquery_resource, "gcs": google.gcs_resource}
    resources: dict[str, Any] = {
        names.client(client): overrides.get(client) or made[client](settings)
        for client in sorted(needed)
        if not isinstance(overrides.get(client), str)
    }
    if several_machines(settings):
        given = overrides.get("io_manager")
        gcs = resources.get(names.client("gcs")) or google.gcs_resource(settings)
        resources[names.step_outputs] = given or google.step_outputs(settings, gcs)
    return resources


def several_machines(settings: Settings) -> bool:
    """Whether the steps of one load may run on several machines, and so pass values on through a bucket."""
    return settings.online_shards > 1 and "gcs" in clients_needed(settings)


def stores_resource(
    settings: Settings,
    code: Catalogue,
    names: Names,
    overrides: Mapping[str, Any],
    commit: Callable[[], str],
) -> dg.ResourceDefinition:
    """The resource that holds the stores; `overrides` replace `offline`, `online` and `registry`.

    `commit` returns the git commit of the code.
    """
    clients = clients_needed(settings)

    @dg.resource(
        required_resource_keys={names.client(client) for client in clients},
        description=f"Offline store, online store, registry.\n\n{settings_words(settings)}",
    )
    @contextmanager
    def feature_store(context: dg.InitResourceContext) -> Iterator[Stores]:
        with ExitStack() as stack:
            # The resources themselves. As attributes of `context.resources`, Dagster would return what they open.
            own: Mapping[str, Any] = context.resources.original_resource_dict
            bigquery, gcs = None, None
            if "bigquery" in clients and "offline" not in overrides:
                bigquery = stack.enter_context(own[names.client("bigquery")].get_client())
            if "gcs" in clients and "registry" not in overrides:
                gcs = own[names.client("gcs")].get_client()
            stores = Stores(
                settings=settings,
                code=code,
                names=names,
                offline=overrides.get("offline") or open_offline_store(settings, bigquery),
                registry=overrides.get("registry") or open_registry(settings, gcs, commit=commit),
                own_online=overrides.get("online"),
            )
            yield stores
            if stores.own_online is None and "online" in vars(stores):
                stores.online.close()

    return feature_store
