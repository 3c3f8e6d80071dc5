"""The registry's history: states as of a time, run or snapshot; versions of definitions; old versions of services."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from itertools import dropwhile
from typing import Any

from amora_fs_assets.domain.catalogue import Catalogue, Definition
from amora_fs_assets.domain.catalogue_json import feature_view as plain_view
from amora_fs_assets.domain.catalogue_json import read_view
from amora_fs_assets.domain.changes import KINDS, Change
from amora_fs_assets.domain.comparison import compare
from amora_fs_assets.domain.errors import FeatureServiceNotFound, InvalidRequest, NotFound
from amora_fs_assets.domain.feature_service import FeatureService
from amora_fs_assets.domain.feature_view import FeatureView
from amora_fs_assets.domain.identity.definition import definition_hash
from amora_fs_assets.domain.ports.registry import Registry
from amora_fs_assets.domain.projection import FeatureViewProjection
from amora_fs_assets.domain.records import RunRecord, Snapshot
from amora_fs_assets.domain.time import utc
from amora_fs_assets.domain.training_set import TrainingSet

AsOf = datetime | date | str
"""A time, or a text: a time in ISO 8601, the first eight or more hex digits of a snapshot, or the id of a run."""


@dataclass(frozen=True)
class Version:
    """A state of a definition, or of the catalogue: its snapshot, and the changes from the state before."""

    snapshot: Snapshot
    version: str  # a hash of the content; empty if the definition did not exist
    changes: tuple[Change, ...]


def snapshot_as_of(registry: Registry, when: AsOf) -> Snapshot | None:
    """The snapshot that was current at a time or for a run, or a named one; None for a time before the first apply.

    Raises InvalidRequest for any other value.
    """
    moment = _moment(when)
    if moment is not None:
        return _at(registry, moment)
    text = str(when)
    if re.fullmatch(r"[0-9a-f]{8,64}", text):
        named = next((each for each in registry.history() if each.hash.startswith(text)), None)
        if named is not None:
            return named
    run = next(registry.records(run_id=text), None)
    if run is None:
        raise InvalidRequest(
            f"Registry {registry.url}: as_of={text!r} is neither a time in ISO 8601, nor a snapshot, nor a recorded "
            "run. See `amora-fs history`."
        )
    return _of_run(registry, run)


def _moment(when: AsOf) -> datetime | None:
    if not isinstance(when, str):
        return utc(when, "as_of")
    # Eight digits could be a date or the beginning of a snapshot's hash, so dates must be written with dashes.
    if not re.match(r"\d{4}-\d{2}-\d{2}", when):
        return None
    try:
        return utc(when)
    except ValueError:
        return None


def _at(registry: Registry, moment: datetime) -> Snapshot | None:
    return next(registry.history(moment), None)


def _of_run(registry: Registry, run: RunRecord) -> Snapshot | None:
    """The newest snapshot before the run's end with the definition of the run."""
    if run.definition_hash:
        for snapshot in registry.history(run.finished_at):
            catalogue = registry.catalogue_of(snapshot)
            definition = catalogue.feature_views.get(run.name) or catalogue.training_sets.get(run.name)
            if definition is not None and definition_hash(definition) == run.definition_hash:
                return snapshot
    return _at(registry, run.started_at)


class PastRegistry:
    """The registry in a past state, read-only."""

    def __init__(self, registry: Registry, as_of: AsOf) -> None:
        """Take the state at `as_of`. Raises InvalidRequest if the registry has no such state."""
        self._registry = registry
        self._snapshot = snapshot_as_of(registry, as_of)
        self._catalogue = Catalogue() if self._snapshot is None else registry.catalogue_of(self._snapshot)
        self._as_of = as_of

    @property
    def url(self) -> str:
        """The location of the registry."""
        return self._registry.url

    def head(self) -> Snapshot | None:
        """The snapshot at `as_of`; None before the first apply."""
        return self._snapshot

    def catalogue(self) -> Catalogue:
        """The catalogue at `as_of`; empty before the first apply."""
        return self._catalogue

    def history(self, at: datetime | None = None) -> Iterator[Snapshot]:
        """The snapshot at `as_of`, or the one at `at` if that is earlier, and all snapshots before it, newest first."""
        past = self._snapshot
        if past is None:
            return
        of_all = self._registry.history(past.applied_at if at is None else min(at, past.applied_at))
        yield from dropwhile(lambda each: each.number > past.number, of_all)

    def catalogue_of(self, snapshot: Snapshot) -> Catalogue:
        """The catalogue of a snapshot."""
        return self._registry.catalogue_of(snapshot)

    def records(self, name: str | None = None, **which: Any) -> Iterator[RunRecord]:
        """The records of all times."""
        return self._registry.records(name, **which)

    def manifest(self, name: str, version: str) -> dict[str, Any] | None:
        """The manifest of a version; None if there is none."""
        return self._registry.manifest(name, version)

    def manifests(self, name: str) -> list[str]:
        """The versions of a training set."""
        return self._registry.manifests(name)

    def apply(self, *_: Any, **__: Any) -> Snapshot:
        """Refuse: the past is read-only."""
        raise self._refusal("apply to")

    def record(self, *_: Any, **__: Any) -> str:
        """Refuse: the past is read-only."""
        raise self._refusal("record in")

    def put_manifest(self, *_: Any, **__: Any) -> str:
        """Refuse: the past is read-only."""
        raise self._refusal("build training sets in")

    def _refusal(self, verb: str) -> InvalidRequest:
        return InvalidRequest(f"The registry as of {self._as_of} is read-only: cannot {verb} it. Leave as_of out.")


def versions(registry: Registry, name: str | None = None) -> Iterator[Version]:
    """The states of a definition, or of the whole catalogue, newest first, each with its changes.

    Raises NotFound if no definition ever had the name.
    """
    found = False
    snapshot, catalogue = None, Catalogue()
    for parent in (*registry.history(), None):
        before = Catalogue() if parent is None else registry.catalogue_of(parent)
        if snapshot is not None:
            changes = compare(before, catalogue)
            if name is not None:
                about = _about(name, before) | _about(name, catalogue)
                changes = tuple(each for each in changes if (each.kind, each.name) in about)
            if changes:
                found = True
                yield Version(snapshot, definition_version(name, catalogue), changes)
        snapshot, catalogue = parent, before
    if name is not None and not found:
        known = {each for attribute in KINDS.values() for each in getattr(registry.catalogue(), attribute)}
        raise NotFound.named(name, known)


def definition_version(name: str | None, catalogue: Catalogue) -> str:
    """Twelve hex digits: a hash of a definition and all definitions it refers to; of the catalogue without a name."""
    if name is None:
        return catalogue.hash[:12]
    definitions = _named(name, catalogue)
    if not definitions:
        return ""
    for each in definitions:
        if isinstance(each, FeatureService):
            return each.version
        if isinstance(each, FeatureView | TrainingSet):
            return definition_hash(each)[:12]
    return Catalogue.of(definitions).hash[:12]


def _named(name: str, catalogue: Catalogue) -> list[Definition]:
    """The definitions of the name, views first. A service and a training set may have the same name."""
    order = ("feature_views", "on_demand_feature_views", "feature_services", "training_sets", "sources", "entities")
    return [getattr(catalogue, kind)[name] for kind in order if name in getattr(catalogue, kind)]


def _about(name: str, catalogue: Catalogue) -> set[tuple[str, str]]:
    """The definitions of the name, and all definitions they refer to."""
    whole = Catalogue.of(_named(name, catalogue))
    return {(kind, each) for kind, attribute in KINDS.items() for each in getattr(whole, attribute)}


def between(registry: Registry, old: AsOf, new: AsOf) -> tuple[Change, ...]:
    """The changes from one state to another."""
    before, after = (PastRegistry(registry, when).catalogue() for when in (old, new))
    return compare(before, after)


def service_version(registry: Registry, name: str, version: str) -> FeatureService:
    """An old version of a service, for a model that was trained with it, over the present tables and generations.

    Raises FeatureServiceNotFound for an unknown version, or if its features no longer exist.
    """
    now = registry.catalogue()
    seen: list[str] = []
    for snapshot in registry.history():
        catalogue = registry.catalogue_of(snapshot)
        if name in {**catalogue.feature_services, **catalogue.feature_views, **catalogue.on_demand_feature_views}:
            service = catalogue.feature_service(name)
            if service.version == version:
                on_present = partial(_on_present_view, now=now, service=f"'{name}' version {version}")
                computed = (
                    replace(part, view=part.view.over(map(on_present, part.view.inputs))) for part in service.on_demand
                )
                return FeatureService(
                    name,
                    [*map(on_present, service.projections), *computed],
                    service.description,
                    service.owner,
                    service.tags,
                )
            seen.append(service.version)
    known = ", ".join(dict.fromkeys(seen)) or "none"
    raise FeatureServiceNotFound(f"Feature service '{name}' has no version '{version}'. Its versions: {known}.")


def _on_present_view(part: FeatureViewProjection, now: Catalogue, service: str) -> FeatureViewProjection:
    """The old projection on the present view, with the old ttl."""
    view = now.feature_views.get(part.view.name)
    types = {column.name: column.type for column in (*view.key_columns, *view.features)} if view else {}
    needed = {column.name: column.type for column in (*part.view.key_columns, *part.columns)}
    missing = [name for name, type_ in needed.items() if types.get(name) is not type_]
    if view is None or missing or view.join_keys != part.view.join_keys:
        raise FeatureServiceNotFound(
            f"Feature service {service} needs {part.view.name}:{', '.join(missing or part.features)}, which no longer "
            "exists or has another type. Train the model again, or apply the old definition again."
        )
    return FeatureViewProjection(_with_ttl_of(part.view, view), part.features, part.name_alias, part.join_key_map)


def _with_ttl_of(then: FeatureView, now: FeatureView) -> FeatureView:
    if then.ttl == now.ttl:
        return now
    plain = {**plain_view(now), "ttl_seconds": plain_view(then)["ttl_seconds"]}
    return read_view(plain, {each.name: each for each in now.entities}, {each.name: each for each in now.sources})
