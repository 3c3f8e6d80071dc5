"""Removes definitions from the registry, and the tables that the store wrote for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue
from amora_fs_assets.domain.errors import InvalidRequest, NotFound
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports.offline import OfflineStore
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.table_names import (
    applied_table,
    dropped_table,
    publications_table,
    pushed_table,
    sequence_table,
    table_name,
)

_KINDS = {
    "entities": "entity",
    "sources": "source",
    "feature_views": "feature view",
    "on_demand_feature_views": "on-demand feature view",
    "feature_services": "feature service",
    "training_sets": "training set",
}


def delete(name: str, registry: Registry, *, clock: datetime) -> Snapshot:
    """Remove the definition from the registry's catalogue, in a new snapshot.

    Raises the errors of `deletable`, and RegistryConflict if an apply came first.
    """
    head, catalogue = registry.head(), registry.catalogue()
    kind = deletable(name, catalogue)
    changed: dict[str, Any] = {kind: _without(name, getattr(catalogue, kind))}
    of_kind = catalogue.packages.get(kind, {})
    changed["packages"] = {**catalogue.packages, kind: _without(name, of_kind)} if of_kind else catalogue.packages
    if kind == "feature_views":
        changed["view_ids"] = _without(name, catalogue.view_ids)
    return registry.apply(replace(catalogue, **changed), parent=head.hash if head else None, clock=clock)


def deletable(name: str, catalogue: Catalogue) -> str:
    """The kind of the definition, as the catalogue's field.

    Raises NotFound for an unknown name, and InvalidRequest for a definition that others use.
    """
    kinds = [kind for kind in _KINDS if name in getattr(catalogue, kind)]
    if not kinds:
        known = {each: None for kind in _KINDS for each in getattr(catalogue, kind)}
        raise NotFound.named(name, known)
    if len(kinds) > 1:
        # Names of one kind are unique; an entity may have the name of another definition, which usually goes first.
        kinds = [kind for kind in kinds if not _users(name, kind, catalogue)] or kinds
    kind = kinds[0]
    if users := _users(name, kind, catalogue):
        raise InvalidRequest(f"{_KINDS[kind].capitalize()} '{name}' is used by {', '.join(users)}. Delete these first.")
    return kind


def _without(name: str, by_name: Mapping[str, Any]) -> dict[str, Any]:
    return {each: value for each, value in by_name.items() if each != name}


def _users(name: str, kind: str, catalogue: Catalogue) -> list[str]:
    """The definitions that use the definition, in words."""
    views, services, sets = catalogue.feature_views, catalogue.feature_services, catalogue.training_sets
    found: list[str] = []
    if kind == "entities":
        found += [str(v) for v in views.values() if any(e.name == name for e in v.entities)]
    if kind in ("sources", "feature_views"):
        found += [str(v) for v in views.values() if any(s.name == name for s in v.sources)]
        found += [f"training set '{t.name}'" for t in sets.values() if any(s.name == name for s in t.sources)]
    if kind == "feature_views":
        found += [f"service '{s.name}'" for s in services.values() if name in s.views]
        computed = catalogue.on_demand_feature_views.values()
        found += [str(view) for view in computed if any(part.view.name == name for part in view.inputs)]
    if kind == "on_demand_feature_views":
        found += [f"service '{s.name}'" for s in services.values() if any(p.view.name == name for p in s.on_demand)]
    if kind in ("feature_views", "on_demand_feature_views", "feature_services"):
        found += [f"training set '{t.name}'" for t in sets.values() if t.service.name == name]
    return list(dict.fromkeys(found))


def tables(catalogue: Catalogue, registry: Registry, store: OfflineStore) -> list[str]:
    """The present tables that the feature store wrote: of views, loaded sources and training sets, and its own.

    External tables are not among them.
    """
    dataset = store.dataset
    names = [table_name(view, dataset) for view in catalogue.feature_views.values() if view.table is None]
    names += [source.table for source in catalogue.sources.values() if source.loader_hash]
    for name in catalogue.training_sets:
        manifests = (registry.manifest(name, version) for version in registry.manifests(name))
        names += [manifest["table"] for manifest in manifests if manifest]
    for view in catalogue.feature_views.values():
        names += _beside(view, dataset)
    names += [publications_table(dataset), applied_table(dataset), sequence_table(dataset)]
    return [name for name, stored in zip(names, store.stored_tables(names), strict=True) if stored is not None]


def _beside(view: FeatureView, dataset: str) -> list[str]:
    return [dropped_table(view.name, dataset), pushed_table(view.name, dataset)]


def remove_all(registry: Registry, *, clock: datetime) -> Snapshot | None:
    """Apply an empty catalogue; None if nothing was ever applied. Raises RegistryConflict if an apply came first."""
    head = registry.head()
    return None if head is None else registry.apply(Catalogue(), parent=head.hash, clock=clock)
