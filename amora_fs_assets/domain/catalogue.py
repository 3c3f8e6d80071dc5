"""The catalogue: all definitions as plain data. `apply` publishes the catalogue; everything else reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from types import ModuleType
from typing import Any, TypeVar, cast

from amora_fs_assets.domain import catalogue_checks
from amora_fs_assets.domain import catalogue_json as plain_form
from amora_fs_assets.domain.callers import refused
from amora_fs_assets.domain.entity import Entity
from amora_fs_assets.domain.errors import (
    DefinitionError,
    EntityNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    InvalidRequest,
    NotFound,
    RegistryCorrupt,
    SourceNotFound,
    TrainingSetNotFound,
)
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.fingerprint import canonical_json, content_hash
from amora_fs_assets.domain.on_demand_view import OnDemandFeatureView, OnDemandProjection
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.source import Source
from amora_fs_assets.domain.training_set import TrainingSet

FORMAT = 2
"""Version of the JSON form. A reader refuses a greater version. Version 2 has on-demand feature views."""

Features = (
    FeatureService
    | FeatureView
    | FeatureViewProjection
    | OnDemandFeatureView
    | OnDemandProjection
    | str
    | Sequence[str]
)
"""The ways to request features: a service or view, its name, or references `"view:feature"`."""

Definition = Entity | Source | FeatureView | OnDemandFeatureView | FeatureService | TrainingSet
"""A definition in a catalogue."""

_Definition = TypeVar("_Definition", Entity, Source, FeatureView, OnDemandFeatureView, FeatureService, TrainingSet)


@dataclass(frozen=True)
class Catalogue:
    """Entities, sources, feature views, services and training sets by name.

    `packages` gives the package that defines each name, by kind (`feature_views`). `view_ids` gives the `view_id` of
    each view. `number` is the number of the registry's snapshot (0: not from the registry). These three are not
    compared and not in the hash.
    """

    entities: Mapping[str, Entity] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    feature_views: Mapping[str, FeatureView] = field(default_factory=dict)
    feature_services: Mapping[str, FeatureService] = field(default_factory=dict)
    training_sets: Mapping[str, TrainingSet] = field(default_factory=dict)
    packages: Mapping[str, Mapping[str, str]] = field(default_factory=dict, compare=False)
    view_ids: Mapping[str, str] = field(default_factory=dict, compare=False)
    number: int = field(default=0, compare=False)
    on_demand_feature_views: Mapping[str, OnDemandFeatureView] = field(default_factory=dict)

    @classmethod
    def of(cls, definitions: Iterable[Definition]) -> Catalogue:
        """The catalogue of `definitions` and of all definitions they refer to. Raises DefinitionError for a clash."""
        catalogue = cls({}, {}, {}, {}, {}, on_demand_feature_views={})
        catalogue._include(*definitions)
        catalogue_checks.check(catalogue)
        kinds = ("entities", "sources", "feature_views", "feature_services", "training_sets", "on_demand_feature_views")
        found: dict[str, Any] = {kind: dict(sorted(getattr(catalogue, kind).items())) for kind in kinds}
        return cls(**found)

    def _include(self, *definitions: Definition) -> None:
        for definition in definitions:
            match definition:
                case Entity():
                    _add(self.entities, definition)
                case Source():
                    _add(self.sources, definition)
                case FeatureView():
                    _add(self.feature_views, definition)
                    self._include(*definition.entities, *definition.sources)
                case OnDemandFeatureView():
                    _add(self.on_demand_feature_views, definition)
                    self._include(*(part.view for part in definition.inputs))
                case FeatureService():
                    if not definition.is_view:
                        _add(self.feature_services, definition)
                    self._include(*(part.view for part in definition.parts))
                case TrainingSet():
                    _add(self.training_sets, definition)
                    self._include(definition.service, *definition.sources)

    @cached_property
    def in_order(self) -> tuple[FeatureView, ...]:
        """The feature views, each after the views that it reads."""
        graph = {
            view.name: {source.name for source in view.sources if isinstance(source, FeatureView)}
            for view in self.feature_views.values()
        }
        try:
            return tuple(self.feature_views[name] for name in TopologicalSorter(graph).static_order())
        except CycleError as error:
            raise DefinitionError(f"Feature views read each other in a circle: {' <- '.join(error.args[1])}.") from None

    def entity(self, name: str) -> Entity:
        """The entity of the name. Raises EntityNotFound."""
        return _get(self.entities, name, EntityNotFound)

    def source(self, name: str) -> Source:
        """The source of the name. Raises SourceNotFound."""
        return _get(self.sources, name, SourceNotFound)

    def feature_view(self, name: str) -> FeatureView:
        """The feature view of the name. Raises FeatureViewNotFound."""
        if computed := next((each for each in self.on_demand_feature_views.values() if each.name == name), None):
            inputs = dict.fromkeys(part.view.name for part in computed.inputs)
            raise FeatureViewNotFound(
                f"'{name}' is an on-demand feature view: its features are computed at request time, so it has no rows. "
                + (f"It reads: {', '.join(inputs)}." if inputs else "It reads the request alone.")
            )
        return _get(self.feature_views, name, FeatureViewNotFound)

    def feature_service(self, name: str) -> FeatureService:
        """The service of the name, or the view of the name as a service. Raises FeatureServiceNotFound."""
        if not isinstance(name, str):
            raise refused("Feature service", name, "its name")
        if name in self.feature_views:
            return FeatureService(name, [self.feature_views[name]])
        if name in self.on_demand_feature_views:
            return FeatureService(name, [self.on_demand_feature_views[name]])
        if name not in self.feature_services:
            known = {**self.feature_services, **self.feature_views, **self.on_demand_feature_views}
            raise FeatureServiceNotFound.named(name, known)
        return self.feature_services[name]

    def on_demand_feature_view(self, name: str) -> OnDemandFeatureView:
        """The on-demand feature view of the name. Raises FeatureViewNotFound."""
        return _get(self.on_demand_feature_views, name, FeatureViewNotFound)

    def training_set(self, name: str) -> TrainingSet:
        """The training set of the name. Raises TrainingSetNotFound."""
        return _get(self.training_sets, name, TrainingSetNotFound)

    def resolve(self, features: Features) -> FeatureService:
        """The service for `features`. References `"view:feature"` make a service named "references".

        Raises FeatureServiceNotFound, FeatureViewNotFound, FeatureNotFound, or InvalidRequest for anything else.
        """
        if isinstance(features, FeatureService):
            return self._of_registry(features)
        if isinstance(features, FeatureView | FeatureViewProjection | OnDemandFeatureView | OnDemandProjection):
            return self._of_registry(FeatureService(features.name, [features]))
        if isinstance(features, str):
            return self.feature_service(features)
        if isinstance(features, bytes | Mapping) or not isinstance(features, Iterable):
            raise InvalidRequest(
                f"features is {type(features).__name__}; give a feature service or its name, or references such as "
                "['view:feature']."
            )
        picked: dict[str, list[str]] = {}
        for reference in cast("Iterable[object]", features):
            view, colon, feature = reference.partition(":") if isinstance(reference, str) else ("", "", "")
            if not colon:
                raise InvalidRequest(f"Feature reference {reference!r} is not written as 'view:feature'.")
            if feature not in picked.setdefault(view, []):
                picked[view].append(feature)
        if not picked:
            raise InvalidRequest("No features are requested. Name a service, or references such as ['view:feature'].")
        return FeatureService("references", [self._view(view)[tuple(names)] for view, names in picked.items()])

    def _view(self, name: str) -> FeatureView | OnDemandFeatureView:
        known: dict[str, FeatureView | OnDemandFeatureView] = {**self.feature_views, **self.on_demand_feature_views}
        if name not in known:
            raise FeatureViewNotFound.named(name, known)
        return known[name]

    def _of_registry(self, service: FeatureService) -> FeatureService:
        """The service with a `view_id` for each view, also for a view from the code, which has none."""
        if all(part.view.view_id for part in service.reads):
            return service
        known = [self._with_id(part) for part in service.projections]
        computed = [
            replace(each, view=each.view.over(map(self._with_id, each.view.inputs))) for each in service.on_demand
        ]
        return FeatureService.applied(
            service.name, known, service.description, service.owner, service.tags, on_demand=computed
        )

    def _with_id(self, part: FeatureViewProjection) -> FeatureViewProjection:
        view = part.view
        return part if view.view_id else replace(part, view=view.with_id(self.view_ids.get(view.name, "")))

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the JSON form: equal definitions have equal hashes."""
        plain = self.to_plain()
        del plain["packages"]
        for each in (*plain["feature_views"], *plain["training_sets"]):
            if "meaning" in each:  # the meaning replaces the hash of the code's text
                del each["code_hash"]
        return content_hash(plain)

    @property
    def without_gate(self) -> frozenset[str]:
        """The names of views without a gate of this release: an earlier release applied them."""
        return frozenset(view.name for view in self.feature_views.values() if view.gate is None)

    def to_json(self) -> str:
        """The JSON form, with sorted keys. Includes the views' gates, which a push runs, and `view_ids`."""
        gates = plain_form.gates(self.feature_views)
        return canonical_json({**self.to_plain(), "gates": gates, "view_ids": dict(self.view_ids)})

    def to_plain(self) -> dict[str, Any]:
        """The JSON form as dicts and lists."""
        views = self.on_demand_feature_views.values()
        # Releases before on-demand feature views read a catalogue without them.
        computed = (
            {"on_demand_feature_views": [plain_form.on_demand_feature_view(each) for each in views]} if views else {}
        )
        return {
            "format": FORMAT if views else 1,
            "entities": [plain_form.entity(each) for each in self.entities.values()],
            "sources": [plain_form.source(each) for each in self.sources.values()],
            "feature_views": [plain_form.feature_view(each) for each in self.feature_views.values()],
            "feature_services": [plain_form.feature_service(each) for each in self.feature_services.values()],
            "training_sets": [plain_form.training_set(each) for each in self.training_sets.values()],
            "packages": {kind: dict(of_names) for kind, of_names in self.packages.items()},
            **computed,
        }

    @classmethod
    def from_json(cls, text: str | bytes) -> Catalogue:
        """Read the JSON form. Raises RegistryCorrupt for a malformed text or a newer format."""
        try:
            plain = json.loads(text)
            if plain["format"] > FORMAT:
                raise RegistryCorrupt(
                    f"The registry's catalogue has format {plain['format']}; this release reads up to {FORMAT}. "
                    "Upgrade amora_fs_assets."
                )
            view_ids = plain.get("view_ids", {})
            return cls(**plain_form.read(plain, view_ids), packages=plain.get("packages", {}), view_ids=view_ids)
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryCorrupt(f"The catalogue is not in its JSON form: {error!r}.") from error


def _add(kind: Mapping[str, _Definition], definition: _Definition) -> None:
    if not isinstance(kind, dict):
        raise TypeError("a catalogue under construction holds dicts")
    known = kind.setdefault(definition.name, definition)
    if known != definition:
        places = [place for place in (module_of(known), module_of(definition)) if place]
        where = f": in {' and in '.join(places)}" if len(places) == 2 else ""
        raise DefinitionError(
            f"{type(definition).__name__} '{definition.name}' is defined twice, in different ways{where}. Rename one."
        )


def package_of(definitions: str | ModuleType | Catalogue) -> str | ModuleType:
    """The package or module of definitions. For a catalogue the module of its first transform with a module, or ""."""
    if not isinstance(definitions, Catalogue):
        return definitions
    modules = (getattr(view.transform, "__module__", None) for view in definitions.feature_views.values())
    return next((module for module in modules if module), "")


def module_of(definition: Definition) -> str:
    """The module of the definition's code; empty for a definition without code or from a catalogue."""
    match definition:
        case FeatureView():
            code: object = definition.transform or definition.schema
        case Source():
            code = definition.schema
        case TrainingSet():
            code = definition.spine
        case OnDemandFeatureView():
            code = definition.expressions
        case _:
            code = None
    return getattr(code, "__module__", "") if code is not None else ""


def _get(kind: Mapping[str, _Definition], name: object, error: type[NotFound]) -> _Definition:
    if not isinstance(name, str):
        raise refused(error.kind, name, "its name")
    if name not in kind:
        raise error.named(name, kind)
    return kind[name]
