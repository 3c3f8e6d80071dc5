"""From code to registry: what a package defines, what applying it would change, and whether it was applied."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import import_module
from types import ModuleType
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue, definition_hash
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import DefinitionError, DefinitionNotApplied
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.ports import Registry
from amora_fs_assets.domain.records import Snapshot
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet

_KINDS = ("entities", "sources", "feature_views", "feature_services", "training_sets")


def collect(package: str | ModuleType) -> Catalogue:
    """All definitions at the top level of a package's modules, or of one module. Raises DefinitionError."""
    found = (value for module in _modules(package) for value in vars(module).values())
    return Catalogue.of(
        value for value in found if isinstance(value, Entity | Source | FeatureView | FeatureService | TrainingSet)
    )


def _modules(package: str | ModuleType) -> Iterator[ModuleType]:
    yield (module := _imported(package) if isinstance(package, str) else package)
    for found in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{module.__name__}."):
        yield import_module(found.name)


def _imported(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # a module that is there imports one that is not
        raise DefinitionError(f"There is no package '{name}' to read definitions from. Stand beside it.") from error


@dataclass(frozen=True)
class Plan:
    """What `apply` would change: `feature view 'carrier_punctuality'` and the like."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]  # gone from the code; stays in the registry unless pruned
    catalogue: Catalogue  # what the registry would hold

    def __str__(self) -> str:
        """One line per change."""
        lines = [
            f"{sign} {name}"
            for sign, names in (("+", self.added), ("~", self.changed), ("-", self.removed))
            for name in names
        ]
        return "\n".join(lines) or "No changes."


def plan(code: Catalogue, registry: Registry, *, prune: bool = False) -> Plan:
    """Compare the code's definitions with the registry's. Changes nothing."""
    applied = registry.catalogue()
    added, changed, removed = [], [], []
    merged: dict[str, Mapping[str, Any]] = {}
    for kind in _KINDS:
        old, new = getattr(applied, kind), getattr(code, kind)
        word = kind.replace("_", " ").replace("ies", "y").removesuffix("s")
        added += [f"{word} '{name}'" for name in new if name not in old]
        changed += [f"{word} '{name}'" for name in new if name in old and old[name] != new[name]]
        gone = {name: each for name, each in old.items() if name not in new}
        removed += [f"{word} '{name}'" for name in gone]
        merged[kind] = dict(sorted({**({} if prune else gone), **new}.items()))
    return Plan(tuple(added), tuple(changed), tuple(removed), replace(code, **merged))


def apply(code: Catalogue, registry: Registry, *, clock: datetime, prune: bool = False) -> Snapshot:
    """Make the code's definitions what counts; what is gone from the code stays, unless pruned.

    Raises RegistryConflict where somebody else applied meanwhile.
    """
    head = registry.head()
    return registry.apply(plan(code, registry, prune=prune).catalogue, parent=head.hash if head else None, clock=clock)


def check_applied(definition: FeatureView | TrainingSet, catalogue: Catalogue) -> str:
    """The definition's hash, if it is the one that was applied. Raises DefinitionNotApplied."""
    known = catalogue.feature_views if isinstance(definition, FeatureView) else catalogue.training_sets
    applied: FeatureView | TrainingSet | None = known.get(definition.name)
    here = definition_hash(definition)
    if applied is None or definition_hash(applied) != here:
        difference = "is not in the registry" if applied is None else "differs from the one in the registry"
        raise DefinitionNotApplied(f"{definition}: its definition {difference}. Run `amora-fs apply` first.")
    return here
